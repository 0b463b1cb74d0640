#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One contender in a process of its own; compare.py starts it and talks to it.

    python3 bench/peers/peer.py NAME FOLDER THREADS

FOLDER is what models.py wrote. After the line "ready VERSION" it answers two commands on standard
input: "run" with the milliseconds of one pass, "scores FILE" with "done" when FILE (.npy) has them.
Each contender is set up as its own documentation advises for the lowest latency.
"""
import os
import sys
import time


def torch_eager(folder, threads):
    import torch

    import models
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    model, pixels = models.load(folder)
    return torch.__version__, torch.inference_mode()(lambda: model(pixels)), lambda y: y.numpy()


def torch_compile(folder, threads):
    import torch
    import torch._inductor.config as inductor

    import models
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    inductor.freezing = True  # weights become constants, packed once
    model, pixels = models.load(folder)
    compiled = torch.compile(model, dynamic=False)
    with torch.no_grad():
        compiled(pixels)
    return torch.__version__, torch.no_grad()(lambda: compiled(pixels)), lambda y: y.numpy()


def onnxruntime_of(folder, threads, graph):
    import onnxruntime

    import models
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = onnxruntime.InferenceSession(os.path.join(folder, graph), options,
                                           providers=["CPUExecutionProvider"])
    feeds = {"pixels": models.load_pixels(folder)}
    return onnxruntime.__version__, lambda: session.run(None, feeds)[0], lambda y: y


def onnxruntime_f32(folder, threads):
    return onnxruntime_of(folder, threads, "model.onnx")


def onnxruntime_int8(folder, threads):
    return onnxruntime_of(folder, threads, "model.int8.onnx")


def openvino(folder, threads):
    import openvino

    import models
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(os.path.join(folder, "model.onnx")), "CPU", {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",  # else BF16 where the processor has it
    })
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(models.load_pixels(folder).copy()))

    def run():
        request.infer()
        return request.get_output_tensor().data

    return openvino.__version__.split("-")[0], run, lambda y: y.copy()


def opencv(folder, threads):
    import cv2

    import models
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(os.path.join(folder, "model.onnx"))
    pixels = models.load_pixels(folder)

    def run():
        net.setInput(pixels)
        return net.forward()

    return cv2.__version__, run, lambda y: y


PEERS = {
    "torch": torch_eager,
    "torch-compile": torch_compile,
    "onnxruntime": onnxruntime_f32,
    "onnxruntime-int8": onnxruntime_int8,
    "openvino": openvino,
    "opencv": opencv,
}


def serve(run, to_numpy, answers):
    import numpy as np
    for line in sys.stdin:
        command, *rest = line.split(maxsplit=1)
        if command == "run":
            start = time.perf_counter()
            run()
            print(1e3 * (time.perf_counter() - start), file=answers, flush=True)
        else:
            np.save(rest[0].strip(), np.asarray(to_numpy(run()), np.float32))
            print("done", file=answers, flush=True)


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    name, folder, threads = sys.argv[1:]
    version, run, to_numpy = PEERS[name](folder, int(threads))
    run()
    print("ready", version, file=answers, flush=True)
    serve(run, to_numpy, answers)


if __name__ == "__main__":
    main()
