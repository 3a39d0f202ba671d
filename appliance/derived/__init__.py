"""What this box builds from artefacts for its own hardware: TensorRT plans and packed graphs.

Each is a release (`appliance.releases`) with a record that the box signs. It can be built again at any time.
"""
