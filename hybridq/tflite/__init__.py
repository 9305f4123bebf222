"""The integer network as a .tflite file: its layers as operators, their scales, the file, and what runs it here."""
