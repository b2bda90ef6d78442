# Sourced: cuBLASLt and cuDNN come with PyTorch, where no loader looks for them.
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$(python3 -c 'import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))' 2>/dev/null || true)
export LD_LIBRARY_PATH
