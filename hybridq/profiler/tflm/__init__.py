"""What TensorFlow Lite for Microcontrollers takes for a `.tflite` file: its arena to the byte, and flash.

model.py      the file, every tensor and operator of every subgraph
structs.py    how large its structs are, for a processor's words
operators.py  what each operator keeps: a table; buffers.py: what kernels ask for besides; esp_nn.py: those of ESP-NN
lifetimes.py  when each tensor and scratch buffer is needed
arena.py      the arena, built up as the interpreter does
code.py       the code by operators, an estimate
cost.py       all of it for a report; setup.py: the lines that a program needs
"""
