#!/usr/bin/env python3
"""vizsla's models beside PyTorch, sentence-transformers, ONNX Runtime and OpenVINO, same weights,
same threads, same precision; and beside oneDNN's bare multiplications.

Each step runs every program in turns, `--rounds` times; a ratio is the median of the rounds' own
ratios, a rate the best round. With one thread the clock is processor time for all, so that a busy
machine disturbs less. Every finished step is written to --out at once: run again, it goes on where
it was; --fresh begins anew. What cannot be imported or exported is left out, aloud.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

PRECISIONS = ("f32", "bf16", "int8")


class Bench:
    def __init__(self, args):
        self.args = args
        self.models = pathlib.Path(args.models)
        self.clip = str(self.models / "clip")
        self.out = pathlib.Path(args.out)
        self.clock = time.process_time if args.threads == 1 else time.perf_counter
        self.results = {}
        if self.out.is_file() and not args.fresh:
            before = json.loads(self.out.read_text())
            if before.get("threads") == args.threads:
                self.results = before["steps"]

    def driver(self, precision, *words, seconds=None):
        done = subprocess.run(
            [self.args.driver, "--threads", str(self.args.threads), "--precision", precision,
             "--seconds", str(seconds or self.args.seconds), *words],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def best_of(self, function):
        function()
        best, start = 1e9, time.monotonic()
        while time.monotonic() - start < self.args.seconds:
            t = self.clock()
            function()
            best = min(best, self.clock() - t)
        return best

    def step(self, name, function):
        """Runs a step that is not in the file yet."""
        if self.args.only and not any(word in name for word in self.args.only):
            return
        if name in self.results:
            return
        print(f"{name} ..", file=sys.stderr, flush=True)
        self.results[name] = function()
        document = {"machine": machine(), "threads": self.args.threads, "steps": self.results}
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(document, indent=1) + "\n")


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    names = [line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")]
    peers = {}
    for package in ("torch", "transformers", "sentence-transformers", "onnxruntime", "openvino", "nncf"):
        try:
            peers[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            peers[package] = None
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=pathlib.Path(__file__).parent).stdout.strip()
    return {"cpu": names[0] if names else "?", "cores": os.cpu_count(), "commit": commit,
            "date": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), "peers": peers}


def left_out(what, error):
    print(f"left out: {what}: {str(error).splitlines()[0][:160]}", file=sys.stderr)


# ---- the image tower ------------------------------------------------------------------------------


def torch_tower(bench, precision):
    import torch
    import transformers
    model = transformers.CLIPModel.from_pretrained(bench.clip).eval()

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

    def run(x):
        t = torch.from_numpy(x)
        with torch.inference_mode():
            return typed(t.to(torch.bfloat16) if precision == "bf16" else t).float().numpy()

    return tower, run


def onnx_file(bench, tower):
    import torch
    path = str(bench.models / "vision.onnx")
    if not os.path.exists(path):
        torch.onnx.export(tower, (torch.zeros(2, 3, 224, 224),), path + ".new", dynamo=False,
                          input_names=["pixels"], dynamic_axes={"pixels": {0: "n"}})
        os.replace(path + ".new", path)
    return path


def onnxruntime_tower(bench, path, precision):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = bench.args.threads
    if precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic
        source, path = path, path.replace(".onnx", ".int8.onnx")
        if not os.path.exists(path):
            quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    return lambda x: session.run(None, {"pixels": x})[0]


def openvino_tower(bench, path, precision):
    import numpy as np
    import openvino
    core = openvino.Core()
    config = {"INFERENCE_NUM_THREADS": bench.args.threads, "PERFORMANCE_HINT": "LATENCY",
              "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    model = core.read_model(path)
    if precision == "int8":
        import nncf
        quantized = path.replace(".onnx", ".int8.xml")
        if not os.path.exists(quantized):
            rng = np.random.default_rng(3)
            inputs = [rng.standard_normal((1, 3, 224, 224), dtype=np.float32) for _ in range(4)]
            model = nncf.quantize(model, nncf.Dataset(inputs), subset_size=4, fast_bias_correction=True,
                                  model_type=nncf.ModelType.TRANSFORMER)
            openvino.save_model(model, quantized, compress_to_fp16=False)
        model = core.read_model(quantized)
    compiled = core.compile_model(model, "CPU", config)
    return lambda x: compiled([x])[0]


def towers(bench, precision):
    tower, run = torch_tower(bench, precision)
    programs = {"pytorch": run}
    try:
        path = onnx_file(bench, tower)
    except Exception as error:
        left_out("onnxruntime and openvino, for export", error)
        return programs
    for name, make in (("onnxruntime", onnxruntime_tower), ("openvino", openvino_tower)):
        if name == "onnxruntime" and precision == "bf16":
            continue  # it has no bf16 on x86
        try:
            programs[name] = make(bench, path, precision)
        except Exception as error:
            left_out(f"{name} {precision}", error)
    return programs


def images(bench, precision):
    """{"1": {"vizsla": [..], "ceiling": [..], "pytorch": [..]}, "32": .., "text": ..}, a number a round"""
    import numpy as np
    programs = towers(bench, precision)
    rng = np.random.default_rng(2)
    inputs = {b: rng.standard_normal((b, 3, 224, 224), dtype=np.float32) for b in (1, 32)}
    found = {"1": {}, "32": {}, "text_ms": {}}

    def note(group, key, value):
        found[group].setdefault(key, []).append(value)

    for _ in range(bench.args.rounds):
        for line in bench.driver(precision, "clip", bench.clip):
            if line["bench"] == "clip-image":
                note(str(line["batch"]), "vizsla", line["images_per_s"])
                note(str(line["batch"]), "ceiling", line["ceiling_images_per_s"])
            elif line["bench"] == "clip-text":
                note("text_ms", str(line["tokens"]), line["ms"])
        for batch, x in inputs.items():
            for name, run in programs.items():
                note(str(batch), name, batch / bench.best_of(lambda: run(x)))
    return found


# ---- texts ------------------------------------------------------------------------------------------

WORDS = ("a the lost dog was seen near river by two people who were walking home in late afternoon with "
         "black collar small brown ears friendly shy white spot left leg please call if you find him "
         "thank").split()


def text_files(bench):
    """Captions of 6 to 12 words, and sentences of 6 to 37."""
    files = {}
    for name, least, spread in (("captions", 6, 7), ("sentences", 6, 32)):
        path = bench.models / f"{name}.txt"
        lines = [" ".join(WORDS[(i * 7 + k * 5) % len(WORDS)] for k in range(least + i * 37 % spread))
                 for i in range(64)]
        path.write_text("".join(line + "\n" for line in lines))
        files[name] = (str(path), lines)
    return files


def sentences(bench, precision):
    import torch
    from sentence_transformers import SentenceTransformer
    folder = bench.args.minilm or str(bench.models / "minilm")
    model = SentenceTransformer(folder, device="cpu")
    if precision == "bf16":
        model = model.bfloat16()
    if precision == "int8":
        torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8, inplace=True)
    found = {}
    files = text_files(bench)
    for _ in range(bench.args.rounds):
        for line in bench.driver(precision, "encode", folder, *(path for path, _ in files.values())):
            at = found.setdefault(line["file"].split(".")[0], {})
            at.setdefault("vizsla", []).append(line["together_per_s"])
            at.setdefault("vizsla, one by one", []).append(line["alone_per_s"])
        for name, (_, lines) in files.items():
            at = found[name]
            at.setdefault("sentence-transformers", []).append(
                len(lines) / bench.best_of(lambda: model.encode(lines, batch_size=32)))
            at.setdefault("sentence-transformers, one by one", []).append(
                16 / bench.best_of(lambda: [model.encode(line) for line in lines[:16]]))
    return found


# ---- loading and photographs ------------------------------------------------------------------------


def drop_pages(folder):
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def load(bench, precision):
    """Packed, then cold and warm from the packed file, then two processes together."""
    for old in pathlib.Path(bench.clip, ".packed").glob(precision + "-*"):
        old.unlink()
    found = {"packing": bench.driver(precision, "load", bench.clip)[0]}
    drop_pages(bench.clip)
    found["cold"] = bench.driver(precision, "load", bench.clip)[0]
    warm = [bench.driver(precision, "load", bench.clip)[0] for _ in range(5)]
    found["warm"] = min(warm, key=lambda line: line["first_image_ms"])
    command = [bench.args.driver, "--threads", str(bench.args.threads), "--precision", precision,
               "load", bench.clip]
    pair = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    for process in pair:
        process.stdout.readline()
    for process in pair:  # both have computed; now their memory
        process.stdin.write("\n")
        process.stdin.flush()
    found["two"] = [json.loads(process.stdout.readline()) for process in pair]
    for process in pair:
        process.stdin.close()
        process.wait()
    return found


def photos(bench):
    """A photograph of 12 megapixels, about 3 MB of JPEG, made of noise at several scales: more to
    decode than most cameras' files."""
    import numpy as np
    from PIL import Image
    path = bench.models / "photo.jpg"
    if not path.exists():
        rng = np.random.default_rng(5)
        picture = np.zeros((3000, 4000, 3), np.float32)
        for cells, weight in ((12, 60), (60, 30), (300, 16), (1200, 7), (3000, 3)):
            small = rng.standard_normal((cells, cells * 4 // 3, 3)).astype(np.float32)
            for channel in range(3):
                layer = Image.fromarray(small[..., channel]).resize((4000, 3000), Image.BICUBIC)
                picture[..., channel] += weight * np.asarray(layer)
        pixels = np.clip(picture + 128, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=90)
    found = {"bytes": path.stat().st_size}
    for precision in PRECISIONS:
        lines = bench.driver(precision, "photo", bench.clip, str(path))
        found[precision] = next(line for line in lines if line["side"] == 448)
    return found


# ---- the table --------------------------------------------------------------------------------------


def ratio(rounds, a, b):
    """Median of the rounds' a / b; None where either is missing."""
    if not rounds.get(a) or not rounds.get(b):
        return None
    return statistics.median(x / y for x, y in zip(rounds[a], rounds[b]))


def print_table(results):
    rows = []

    def row(what, value, wanted=None, good=None):
        rows.append((what, value, wanted or "", "" if good is None else "yes" if good else "NO"))

    for p in PRECISIONS:
        step = results.get(f"image {p}")
        if not step:
            continue
        for batch in ("1", "32"):
            rounds, name = step[batch], f"image tower {p}, batch {batch}"
            of = ratio(rounds, "vizsla", "ceiling")
            row(f"{name}: images/s", f"{max(rounds['vizsla']):.1f}")
            row(f"{name}: of bare oneDNN", f"{of:.2f}", ">= 0.85", of >= 0.85)
            for peer in ("pytorch", "onnxruntime", "openvino"):
                times = ratio(rounds, "vizsla", peer)
                if times is None:
                    continue
                least = 1.3 if peer == "pytorch" and p == "f32" else 1.0
                row(f"{name}: times {peer} ({max(rounds[peer]):.1f}/s)", f"{times:.2f}",
                    f">= {least}", times >= least)
        text = step["text_ms"]
        part = statistics.median(a / b for a, b in zip(text["12"], text["77"]))
        row(f"CLIP text {p}: ten words (12 tokens) of 77", f"{part:.3f}", "< 0.2", part < 0.2)
        row(f"CLIP text {p}: ms", f"{min(text['12']):.2f}")
    for p in PRECISIONS:
        for kind, rounds in results.get(f"sentences {p}", {}).items():
            for way in ("", ", one by one"):
                times = ratio(rounds, "vizsla" + way, "sentence-transformers" + way)
                row(f"MiniLM {p}, {kind}{way}: times sentence-transformers "
                    f"({max(rounds['vizsla' + way]):.0f}/s)", f"{times:.2f}", ">= 2", times >= 2)
    for p in PRECISIONS:
        step = results.get(f"load {p}")
        if not step:
            continue
        row(f"CLIP {p}: first open packs, ms", f"{step['packing']['first_image_ms']:.0f}")
        for state in ("cold", "warm"):
            ms = step[state]["first_image_ms"]
            row(f"CLIP {p}: disk to first vector, {state} pages, ms", f"{ms:.0f}", "< 300", ms < 300)
        of = step["warm"]["rss_of_weights"]
        row(f"CLIP {p}: resident / weights ({step['warm']['rss_mb']:.0f} MB)", f"{of:.2f}", "< 1.3",
            of < 1.3)
        pss, rss = (sum(line[k] for line in step["two"]) for k in ("pss_mb", "rss_mb"))
        row(f"CLIP {p}: two processes together, MB (resident {rss:.0f})", f"{pss:.0f}",
            "shared", pss < 0.65 * rss)
    step = results.get("photo")
    if step:
        for p in PRECISIONS:
            line = step[p]
            row(f"12 megapixels ({step['bytes'] / 1e6:.1f} MB) {p}: decode + preprocess of all "
                f"({line['decode_ms']:.0f} + {line['preprocess_ms']:.0f} + {line['embed_ms']:.0f} ms)",
                f"{line['share']:.2f}", "< 0.25", line["share"] < 0.25)
    width = max((len(r[0]) for r in rows), default=0)
    for what, value, wanted, good in rows:
        print(f"{what:{width}}  {value:>8}  {wanted:8} {good}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--minilm", help="a folder with a tokenizer and MiniLM's weights")
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--only", nargs="*", help="steps whose names hold one of these words")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_OFFLINE"] = "1"
    bench = Bench(args)
    import torch
    torch.set_num_threads(args.threads)
    for precision in PRECISIONS:
        bench.step(f"load {precision}", lambda: load(bench, precision))
    bench.step("photo", lambda: photos(bench))
    for precision in PRECISIONS:
        bench.step(f"image {precision}", lambda: images(bench, precision))
    for precision in PRECISIONS:
        if args.minilm:
            bench.step(f"sentences {precision}", lambda: sentences(bench, precision))
    print_table(bench.results)


if __name__ == "__main__":
    main()
