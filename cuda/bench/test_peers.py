"""Who is asked for a row of the benchmarks, where Liger kernels are installed, where a
release lacks some, and where there are none. Needs neither PyTorch nor a GPU.

    test_peers.py
"""

import importlib
import sys
import unittest
from unittest import mock

OF_LIGER = {
    "rms_norm_residual/8x256": "fused_add_rms_norm", "rms_norm_backward/8x256": "rms_norm", "swiglu/8x256": "swiglu",
    "swiglu_backward/8x256": "swiglu", "rope/8x512": "rope", "linear_cross_entropy/8x320": "fused_linear_cross_entropy",
    "embedding_backward/8x64": "experimental.embedding",
}


def load(modules):
    """torch_bench beside stand-ins for PyTorch and these modules of Liger."""
    stubs = {name: mock.MagicMock(__path__=[]) for name in ("torch", "torch.nn", "torch.nn.functional")}
    stubs |= {name: None for name in ("bitsandbytes", "bitsandbytes.functional", "liger_kernel")}
    if modules:
        stubs |= {"liger_kernel." + name: mock.MagicMock(__path__=[]) for name in ("ops", "ops.experimental")}
        stubs["liger_kernel"] = mock.MagicMock(__path__=[])
    for module in set(OF_LIGER.values()):
        stubs["liger_kernel.ops." + module] = mock.MagicMock() if module in modules else None
    return mock.patch.dict(sys.modules, stubs)


class Peers(unittest.TestCase):
    def check(self, modules):
        with load(modules):
            sys.modules.pop("torch_bench", None)
            bench = importlib.import_module("torch_bench")
            for row, module in OF_LIGER.items():
                peers = bench.peers(row)
                self.assertEqual(set(peers), {"torch", "liger"} if module in modules else {"torch"}, row)
                for work in peers.values():
                    work()
            self.assertEqual(set(bench.peers("adamw/64")), {"torch"})
            self.assertEqual(bench.peers("nf4_dequantize/8x64"), {})

    def test_all(self):
        self.check(set(OF_LIGER.values()))

    def test_old_release(self):
        self.check({"rms_norm", "swiglu", "fused_linear_cross_entropy"})

    def test_none(self):
        self.check(set())


if __name__ == "__main__":
    unittest.main()
