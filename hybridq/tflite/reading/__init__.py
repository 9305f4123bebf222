"""An int8 `.tflite` file as an integer network.

network.py     the whole file, operator by operator
operators.py   a rule for each operator, the layer that it is: here those with weights; maps.py those that pool, join
               and move; elementwise.py those of one number or two, tables.py the functions of one
turned.py      rows for columns, where maps have one column
multipliers.py the integers by which kernels multiply
tensors.py     what the file says of the tensors that an operator reads and makes
"""

from hybridq.tflite.reading.network import read_tflite as read_tflite
