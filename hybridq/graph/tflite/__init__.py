""".tflite files as operators."""
