"""A plugin with a checked configuration."""

from pydantic import BaseModel, Field


class ToCelsius:
    """Turn degrees Fahrenheit into degrees Celsius."""

    class Config(BaseModel):
        """What to turn."""

        degrees: list[float] = Field(min_length=1)

    def run(self, config, context):
        """The degrees, and what the context held."""
        print(f"turning {len(config.degrees)}")
        celsius = [round((degree - 32) / 1.8, 2) for degree in config.degrees]
        return {"celsius": celsius, "before": sorted(context)}
