"""The packed form of an artefact's graph: the same weights in the layout that the appliance's own operators read."""
