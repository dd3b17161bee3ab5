"""The agent: a loop of turns over replaceable parts. Nothing of a provider is imported here
before a model of that provider is asked."""
