#!/usr/bin/env python3
"""Makes tests/golden/weights: the same small tensors as torch and safetensors themselves save them.

    pip install torch safetensors numpy && tools/make_golden_weights.py

Element i (row-major) of every tensor is (i % 120) - 20, or i % 3 == 0 for bool and i % 120 for
unsigned ones, so that tests/unit/nn/test_weights.c knows all values. Names say what is special.
"""
import collections
import json
import pathlib

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "weights"


def ramp(*shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    i = torch.arange(count)
    if dtype == torch.bool:
        return (i % 3 == 0).reshape(shape)
    values = i % 120 - (0 if dtype == torch.uint8 else 20)
    return values.to(dtype).reshape(shape)


def tensors():
    wide = torch.full((5, 9), 99.0)
    wide[1:4, 2:8] = ramp(3, 6)
    long = torch.full((40,), 99.0)
    long[7:37] = ramp(30)
    return collections.OrderedDict(
        [
            ("f32", ramp(3, 4)),
            ("f16", ramp(33, dtype=torch.float16)),
            ("bf16", ramp(5, 7, dtype=torch.bfloat16)),
            ("f64", ramp(4, dtype=torch.float64)),
            ("i64", ramp(2, 3, dtype=torch.int64)),
            ("i32", ramp(7, dtype=torch.int32)),
            ("i16", ramp(7, dtype=torch.int16)),
            ("i8", ramp(130, dtype=torch.int8)),
            ("u8", ramp(130, dtype=torch.uint8)),
            ("bool", ramp(9, dtype=torch.bool)),
            ("scalar", torch.tensor(-20.0)),
            ("empty", torch.zeros(0, 3)),
            ("transposed", ramp(6, 4).t().contiguous().t()),
            ("permuted", ramp(2, 3, 4).permute(2, 0, 1).contiguous().permute(1, 2, 0)),
            ("window", wide[1:4, 2:8]),
            ("offset", long[7:37].reshape(5, 6)),
            ("parameter", torch.nn.Parameter(ramp(2, 2))),
        ]
    )


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    state = tensors()
    state["tied"] = state["f32"]
    torch.save(state, OUT / "zip.bin")
    torch.save(state, OUT / "protocol4.bin", pickle_protocol=4)
    torch.save(state, OUT / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "lr": 0.5, "state_dict": dict(state)}, OUT / "checkpoint.pt")
    torch.save(torch.nn.Linear(2, 2), OUT / "module.bin")
    torch.save({"a": torch.zeros(1).expand(1000)}, OUT / "expanded.bin")
    plain = {k: v.detach().contiguous().clone() for k, v in state.items()}
    save_file(plain, OUT / "model.safetensors", metadata={"format": "pt"})
    shards = [dict(list(plain.items())[:8]), dict(list(plain.items())[8:])]
    names = [f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    (OUT / "sharded").mkdir(exist_ok=True)
    for name, shard in zip(names, shards):
        save_file(shard, OUT / "sharded" / name)
    index = {"metadata": {}, "weight_map": {k: n for n, s in zip(names, shards) for k in s}}
    (OUT / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


main()
