"""The extension of the Jupyter server: composition root, REST and websocket, worker supervision."""
