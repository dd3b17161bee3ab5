"""Notebook audits: outputs compared by their type, surroundings observed, evidence sealed.

Everything heavy (Pillow, numpy, cryptography) comes with the extra ``audit`` and is imported in an
audit's own process or in a thread, never with the server.
"""
