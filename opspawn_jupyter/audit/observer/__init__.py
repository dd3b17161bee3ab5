"""What an audited kernel loads first; ``sitecustomize`` beside this file. Not to be imported."""
