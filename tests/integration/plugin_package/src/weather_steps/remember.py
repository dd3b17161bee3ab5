"""A plugin as the ancestor had them: a name, a dict of configuration, a shared context."""


class Remember:
    """Put something into the context."""

    name = "remember"

    def run(self, config, context):
        """Nothing but what it leaves in the context."""
        context["remembered"] = config.get("what", "nothing")
