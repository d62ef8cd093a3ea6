#!/usr/bin/env python3
"""PyTorch, ONNX Runtime and OpenVINO on the weights that bench_models ran, in turns with it.

Each round runs every program once for a few seconds; the best of the rounds counts. With one thread
the clock is processor time for all, so that a busy machine disturbs less. What cannot be imported
is left out, aloud. One JSON line a measurement, then the ratios.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import torch
import transformers


def best_of(function, seconds, clock):
    function()
    best, start = 1e9, time.monotonic()
    while time.monotonic() - start < seconds:
        t = clock()
        function()
        best = min(best, clock() - t)
    return best


def image_programs(folder, threads, precision):
    """name -> function(batch array)"""
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    programs = {}

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vision, self.projection = model.vision_model, model.visual_projection

        def forward(self, pixels):
            out = self.projection(self.vision(pixel_values=pixels).pooler_output)
            return out / out.norm(dim=-1, keepdim=True)

    tower = Tower().eval()
    typed = tower
    if precision == "bf16":
        typed = Tower().eval().to(torch.bfloat16)
    if precision == "int8":
        typed = torch.ao.quantization.quantize_dynamic(tower, {torch.nn.Linear}, torch.qint8)

    def run_torch(x):
        t = torch.from_numpy(x)
        with torch.inference_mode():
            return typed(t.to(torch.bfloat16) if precision == "bf16" else t).float().numpy()

    programs["pytorch"] = run_torch
    path = os.path.join(folder, "vision.onnx")
    try:
        if not os.path.exists(path) and precision == "f32":
            torch.onnx.export(tower, (torch.zeros(2, 3, 224, 224),), path, dynamo=False,
                              input_names=["pixels"], dynamic_axes={"pixels": {0: "n"}})
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        source = path
        if precision == "int8":
            from onnxruntime.quantization import QuantType, quantize_dynamic
            source = path.replace(".onnx", ".int8.onnx")
            if not os.path.exists(source):
                quantize_dynamic(path, source, weight_type=QuantType.QInt8)
        if precision != "bf16":
            session = onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])
            programs["onnxruntime"] = lambda x: session.run(None, {"pixels": x})[0]
    except Exception as error:  # a program that cannot run is left out
        print(f"left out: onnxruntime {precision}: {error}", file=sys.stderr)
    try:
        import openvino
        core = openvino.Core()
        if precision != "int8":
            compiled = core.compile_model(
                path, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                              "INFERENCE_PRECISION_HINT": precision})
            programs["openvino"] = lambda x: compiled([x])[0]
    except Exception as error:
        print(f"left out: openvino {precision}: {error}", file=sys.stderr)
    return programs


def sentences(folder, threads, clock, seconds):
    model = transformers.BertModel.from_pretrained(folder).eval()
    ids = [[1 + (i * 131 + k * 977) % 30000 for k in range(8 + i * 37 % 32)] for i in range(64)]
    # As sentence-transformers does: sorted by length, batches of 32, padded.
    ids.sort(key=len, reverse=True)

    def run():
        with torch.inference_mode():
            for at in range(0, 64, 32):
                part = ids[at:at + 32]
                width = max(map(len, part))
                padded = torch.tensor([p + [0] * (width - len(p)) for p in part])
                mask = torch.tensor([[1] * len(p) + [0] * (width - len(p)) for p in part])
                rows = model(input_ids=padded, attention_mask=mask).last_hidden_state
                pooled = (rows * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
                torch.nn.functional.normalize(pooled)

    return 64 / best_of(run, seconds, clock)


def clip_text(folder, clock, seconds):
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    ids = torch.tensor([[(i * 977) % 49406 for i in range(76)] + [49407]])
    with torch.inference_mode():
        return best_of(lambda: model.text_projection(
            model.text_model(input_ids=ids).pooler_output), seconds, clock)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    clip = os.path.join(args.models, "clip")
    rng = np.random.default_rng(2)
    results = {}

    def note(key, rate):
        results[key] = max(results.get(key, 0), rate)

    for precision in ("f32", "bf16", "int8"):
        programs = image_programs(clip, args.threads, precision)
        for _ in range(args.rounds):
            lines = subprocess.run(
                [args.driver, "--threads", str(args.threads), "--precision", precision,
                 "--seconds", str(args.seconds), "clip", clip],
                check=True, capture_output=True, text=True).stdout.splitlines()
            for line in map(json.loads, lines):
                if line["bench"] == "clip-image":
                    note(("image", precision, line["batch"], "vizsla"), line["images_per_s"])
                if line["bench"] == "clip-text":
                    note(("text", precision, line["tokens"], "vizsla"), 1e3 / line["ms"])
            for batch in (1, 32):
                x = rng.standard_normal((batch, 3, 224, 224), dtype=np.float32)
                for name, run in programs.items():
                    note(("image", precision, batch, name),
                         batch / best_of(lambda: run(x), args.seconds, clock))
            if precision == "f32":
                note(("text", "f32", 77, "pytorch"), 1 / clip_text(clip, clock, args.seconds))
                minilm = os.path.join(args.models, "minilm")
                note(("sentences", "f32", 64, "pytorch"),
                     sentences(minilm, args.threads, clock, args.seconds))
                line = subprocess.run(
                    [args.driver, "--threads", str(args.threads), "--precision", "f32", "--seconds",
                     str(args.seconds), "text", minilm],
                    check=True, capture_output=True, text=True).stdout.splitlines()[-1]
                note(("sentences", "f32", 64, "vizsla"), json.loads(line)["sentences_per_s"])
    for (kind, precision, size, name), rate in sorted(results.items(), key=str):
        ours = results.get((kind, precision, size, "vizsla"))
        print(json.dumps({"bench": "compare", "kind": kind, "precision": precision, "size": size,
                          "program": name, "per_s": round(rate, 2),
                          "vizsla_times": round(ours / rate, 3)}))


if __name__ == "__main__":
    main()
