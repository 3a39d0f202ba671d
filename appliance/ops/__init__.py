"""The appliance's own operators for ONNX Runtime's CPU provider: their source, and the layout of their weights."""
