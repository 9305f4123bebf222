"""How large packages start: TensorFlow, Keras and QKeras, without their chatter and in less time.

startup.py     imports of large packages, made cheaper
tensorflow.py  TensorFlow's threads and the lines that it writes; bfloat16
"""
