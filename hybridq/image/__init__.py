"""An image for a board: memory plan, packed weights, C, export; built, run on an emulator and compared.

memory_plan.py  in what order the layers run, and where their tensors lie in one static arena: steps.py the layers as
                runs over rows, stage_costs.py which of them run together
packing.py      weights as they lie in flash, for the kernels in c/; sparse.py: the same where most are zero;
                channels.py what finishes their sums; dense_parts.py: dense layers of many outputs
emit.py         the network as C: constants.py and map_constants.py its weights and tables, layer_functions.py a
                function a layer, stages.py what runs them, outputs.py what leaves it; tensors.py: shapes, scales and
                zero points of what goes in and comes out
export.py       the folder with all that a program needs, written by folder.py, which leaves the files of others alone
front_end.py    what is asked of the code around a network; inference.py: that of a network without a front end
toolchain.py    compilers and what the linker made; emulator.py: runs an image and counts
verify.py       builds an exported folder and compares it with the definition, on the machines of machines.py;
                verification.py: what that measures
"""
