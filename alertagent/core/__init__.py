"""The features, one folder each; within a folder the file name says the layer."""
