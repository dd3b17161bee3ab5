"""The live views, as plain ES modules that JupyterLab, a widget and our own pages share."""
