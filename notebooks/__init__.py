"""The notebooks that come with opspawn: ``steps``, through which plugins run, and ``examples``."""
