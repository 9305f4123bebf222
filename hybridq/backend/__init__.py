"""How large packages start: TensorFlow, Keras and QKeras, without their chatter and in less time."""
