"""Views as TensorFlow graphs: the pixels of the NumPy engine from ordinary operations, for a model that holds them."""
