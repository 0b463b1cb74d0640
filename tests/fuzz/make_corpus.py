#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_corpus.py VITRINE: writes corpus/ and dict/ beside this file, from tests/data and from the command's
help. Each input is as small as keeps what is particular about it."""
import base64, json, os, re, shutil, struct, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")
VITRINE = os.path.abspath(sys.argv[1])

# As in fuzz_config.c.
CASES = re.findall(r'"((?:golden|golden-pairs|text)/\w+)"', open(os.path.join(HERE, "fuzz_config.c")).read())


def put(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def read(*path):
    with open(os.path.join(DATA, *path), "rb") as file:
        return file.read()


def compact(text):
    return json.dumps(json.loads(text), separators=(",", ":")).encode()


def pictures():
    for name in sorted(os.listdir(os.path.join(DATA, "images"))):
        data = read("images", name)
        if not re.search(r"_rgb\.png$|\.json$", name) and len(data) < 3000:
            put("image", name, data)
    put("image", "rle.tga", bytes([0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 0, 24, 0]) +
        b"\x83\x10\x20\x30" + b"\x03" + bytes(range(12)))
    put("image", "rle.psd", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 2, 4, 8, 3) +
        bytes(12) + struct.pack(">H", 1) + struct.pack(">6H", *[2] * 6) + b"\xfd\x41" * 6)
    put("image", "rle4.bmp", b"BM" + struct.pack("<IHHI", 70, 0, 0, 62) +
        struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 4, 0, 4, 0, 0, 2, 0) + bytes([0, 0, 0, 0, 255, 255, 255, 0]) +
        bytes([0x12, 0x10, 0, 0, 0x21, 0x01, 0, 0]))
    put("image", "rgb565.bmp", b"BM" + struct.pack("<IHHI", 74, 0, 0, 66) +
        struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 16, 3, 8, 0, 0, 0, 0) +
        struct.pack("<III", 0xF800, 0x7E0, 0x1F) + bytes(range(8)))


def safetensors(entries, data):
    header = json.dumps(entries, separators=(",", ":"))
    return header.encode() + b"\0" + data


def tensors():
    entry = lambda dtype, shape, begin, end: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    header = safetensors({"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 1], 0, 8),
                          "b": entry("BF16", [], 8, 10), "c": entry("U8", [0, 7], 10, 10),
                          "d": entry("F8_E4M3", [1] * 8, 10, 11)}, bytes(11))
    put("safetensors", "header", header)
    text, data = header.split(b"\0", 1)
    put("safetensors", "file", struct.pack("<Q", len(text)) + text + data)
    put("safetensors", "empty", struct.pack("<Q", 2) + b"{}")
    put("safetensors", "many", safetensors({"t%d" % i: entry("I8", [1], i, i + 1) for i in range(40)}, bytes(40)))
    put("index", "index", json.dumps({"metadata": {"total_size": 24}, "weight_map": {
        "a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}))
    for name, path in [("up", "../outside.safetensors"), ("dot", "./1.safetensors"), ("hidden", ".1"),
                       ("absolute", "/etc/passwd"), ("nul", "1.safetensors\0"), ("folder", ".."),
                       ("missing", "3.safetensors")]:
        put("index", name, json.dumps({"weight_map": {"a": path}}))


def configs():
    for i, case in enumerate(CASES):
        folder = os.path.join(DATA, case)
        name = "config.json" if os.path.exists(folder + "/config.json") else "open_clip_config.json"
        data = bytes([ord("a") + i]) + compact(read(case, name))
        if os.path.exists(folder + "/preprocessor_config.json"):
            data += b"\0" + compact(read(case, "preprocessor_config.json"))
        put("config", case.split("/")[1], data)
    labels = "".join("label %d\n" % i for i in range(10))
    put("config", "labels", b"a" + compact(read("golden/timm_vit_token/config.json")) + b"\0\0" + labels.encode())


def shrink_model(model, special):
    """Keeps what the few merges, or the first tokens, need."""
    if isinstance(model["vocab"], list):  # Unigram
        model["vocab"] = model["vocab"][:40]
    elif "merges" in model:
        merges = model["merges"][:12]
        parts = [m if isinstance(m, list) else m.split(" ") for m in merges]
        prefix = model.get("continuing_subword_prefix") or ""
        kept = {p for pair in parts for p in pair}
        kept |= {a + (b[len(prefix):] if prefix and b.startswith(prefix) else b) for a, b in parts}
        kept |= {t for t in model["vocab"] if len(t) == 1 and t.isascii()} | special
        model["merges"] = merges
        model["vocab"] = {t: i for i, t in enumerate(sorted(t for t in model["vocab"] if t in kept))}
    else:
        names = sorted(model["vocab"], key=lambda t: (t not in special, not t.startswith("##"), len(t)))
        model["vocab"] = {t: i for i, t in enumerate(names[:60])}
    return model["vocab"]


def renumber(node, ids):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "id" and isinstance(value, int) and node.get("content") in ids:
                node[key] = ids[node["content"]]
            else:
                renumber(value, ids)
    elif isinstance(node, list):
        for item in node:
            renumber(item, ids)


def small_charsmap():
    """A double array that has "A" -> "a": 'A' at the root's offset, and its leaf."""
    units = [0] * 256
    units[0] = 128 << 10                      # the root's offset
    at = 128 ^ ord("A")
    units[at] = ord("A") | 1 << 8 | (1 << 10)  # has a leaf, at `at` ^ 1
    units[at ^ 1] = 1 << 31                    # the replacement at 0
    blob = b"".join(struct.pack("<I", u) for u in units)
    return base64.b64encode(struct.pack("<I", len(blob)) + blob + b"a\0").decode()


def shrink_charsmaps(node):
    if isinstance(node, dict):
        if "precompiled_charsmap" in node:
            node["precompiled_charsmap"] = small_charsmap()
        for value in node.values():
            shrink_charsmaps(value)
    elif isinstance(node, list):
        for item in node:
            shrink_charsmaps(item)


def tokenizers():
    text = "Ab c's 12,\u00e9\u4e2d\U0001f600 <s>[MASK]\n\t x".encode()
    for name in sorted(os.listdir(os.path.join(DATA, "tokenizers"))):
        if not re.fullmatch(r"[\w-]+\.json", name) or name == "index.json":
            continue
        tokenizer = json.loads(read("tokenizers", name))
        if not isinstance(tokenizer, dict) or "model" not in tokenizer:
            continue
        tokenizer["added_tokens"] = tokenizer["added_tokens"][:4]
        special = {t["content"] for t in tokenizer["added_tokens"]} | {tokenizer["model"].get("unk_token") or ""}
        vocab = shrink_model(tokenizer["model"], special)
        if isinstance(vocab, dict):
            more = [t["content"] for t in tokenizer["added_tokens"] if t["content"] not in vocab]
            renumber(tokenizer["added_tokens"], dict(vocab, **{t: len(vocab) + i for i, t in enumerate(more)}))
        shrink_charsmaps(tokenizer)
        put("tokenizer", name[:-5], json.dumps(tokenizer, separators=(",", ":")).encode() + b"\0" + text)


def frames():
    for format in range(10):
        for turn in range(4):
            put("frame", "%d-%d" % (format, turn), bytes([format, format, 11 + format, 7, 0, turn, 3, 9, 1, 0, turn, turn,
                                                          2, 3, 5, 4, 0, 1, 4, turn, 20, 3, 0, 1, 1, 12, 11]))
    for bad in range(9):
        put("frame", "bad-%d" % bad, bytes([bad, 0, 11, 7, 1, 1, 0, 9, 0, 0, 0, 0, 2, 3, 5, 4, 7, bad, bad, 4]))
    for name in ["baseline420.jpg", "gray.jpg", "progressive.jpg"]:
        put("frame", name, bytes([10, 0, 0, 0, 0, 1, 3, 2, 9, 8]) + read("images", name))


def packed():
    with tempfile.TemporaryDirectory() as folder:
        for i, options in enumerate([[], ["--precision=int8"]]):
            out = os.path.join(folder, str(i))
            subprocess.run([VITRINE, "pack", "-q", "-m", os.path.join(DATA, "golden/timm_vit_token"), "--kernels=scalar",
                            "-o", out] + options, check=True, capture_output=True)
            with open(os.path.join(out, "packed.safetensors"), "rb") as file:
                data = file.read()
            length = struct.unpack("<Q", data[:8])[0]
            begin, end = json.loads(data[8:8 + length])["vitrine.packed"]["data_offsets"]
            about = data[8 + length + begin:8 + length + end]
            put("packed", "f32" if not options else "int8", about + b"\0" + bytes([i]))
            put("packed", "short-%d" % i, about + b"\0" + bytes([i, 0, 0, 1, 3, 0, 64]))


def options():
    source = open(os.path.join(HERE, "../../src/cli/main.c")).read()
    order, words = list(dict.fromkeys(re.findall(r"&(\w+)_command", source))), set()
    for command in order:
        text = subprocess.run([VITRINE, command, "--help"], capture_output=True, text=True, check=True).stdout
        found = re.findall(r"^\s+(?:-(\w), )?(--[\w-]+)(=\S+)?", text, re.M)
        values = {"=N": "3", "=N|HxW": "64x48", "=LIST": "1,2", "=TYPE:FACTOR": "yarn:4", "=RRGGBB": "ff8000"}
        line = []
        for letter, name, value in found:
            words.add(name + ("=" if value else ""))
            if name != "--help":
                line.append(name + ("=" + values.get(value, "f32") if value else ""))
        put("options", command, bytes([ord("a") + order.index(command)]) + "\0".join(line + ["a.png", "--", "-b"]).encode())
    extra = ["64:320:16", "224,384x512", "bicubic,bilinear", "f32,int8", "--", "-", "18446744073709551616", "1e999", "nan"]
    write_dictionary("options", sorted(words) + extra)


def streams():
    jpeg = read("images", "gray.jpg")
    y4m = b"YUV4MPEG2 W4 H2 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL\n"
    for name, data in [
            ("y4m", b"s\5" + y4m + b"FRAME\n" + bytes(12) + b"FRAME Ip\n" + bytes(12)),
            ("y4m-mono", b"s\0YUV4MPEG2 W3 H3 F25:1 Cmono\nFRAME\n" + bytes(9)),
            ("y4m-cut", b"s\2" + y4m + b"FRAME\n" + bytes(5)),
            ("mjpeg", b"k\6" + jpeg + jpeg),
            ("mjpeg-cut", b"s\0" + jpeg + jpeg[:-40]),
            ("multipart", b"s\x3f--b\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n--b\r\n\r\n" + jpeg)]:
        put("stream", name, data)
    for format in range(10):
        put("stream", "raw-%d" % format, bytes([ord("a") + format, 3, 1, format]) + bytes(110))


def lists():
    image = base64.b64encode(b"caf\xe9.png").decode()
    put("lists", "done", "a" + "".join(json.dumps(line) + "\n" for line in [
        {"image": "a.png", "predictions": []}, {"image": "caf\ufffd.png", "image_base64": image, "predictions": [1]},
        {"image": "b.png", "error": "cut"}, ["c.png"]]) + "\n" + '{"image": "d.png", "predictions"')
    put("lists", "path", b"bcaf\xe9/\x01\"\\.png")
    put("lists", "lines", "ca.png\r\nb c.png\n\n\u00e9.png\n\0d.png\ne.png")
    put("lists", "null", "da.png\0b\nc.png\0\0d.png")
    put("lists", "labels", 'efile,label,group\na.png,3,held-in\n"b, {size}.png",0,"held ""out"""\r\nc/d.png,9,\n')
    put("lists", "labels-alone", "ea.png,1\nb.png,2\n")
    put("lists", "labels-past-last", "ea.png,10\n")
    put("lists", "candidates", "f a cat \r\ndog\n\n caf\u00e9")
    put("lists", "record", 'ga,b"\0\0\r\nc\0d')
    columns = re.findall(r"COLUMN\(([A-Z]+), (\w+)\)", open(os.path.join(HERE, "../../src/cli/sweep_table.c")).read())
    row = lambda i: ",".join({"TEXT": "all", "COUNT": str(16 * i), "NUMBER": "0.5" if i % 2 else ""}[kind]
                             for kind, name in columns)
    put("lists", "sweep", "h" + ",".join(name for kind, name in columns) + "\n" + "\n".join(row(i) for i in range(3)) + "\n")
    write_dictionary("lists", ["file,label,group\n", "{size}", '""', '","', "\r\n", '{"image":"', '"image_base64":"',
                               '"predictions":', "all", "nan", "-inf", "1e999", "9223372036854775807"] +
                     [name + "," for kind, name in columns])


def kept():
    about = {"version": 1, "labels": ["a", "caf\u00e9"], "input": [224, 320],
             "model": {"name": "timm VisionTransformer (vit)", "outline": "0" * 32, "matrices": "1" * 32}, "fit": None}
    floats = lambda count: struct.pack("<%df" % count, *[0.5 * i - 1 for i in range(count)])
    entry = lambda dtype, shape, begin, end: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    def file(entries, data):
        header = json.dumps(entries, separators=(",", ":")).encode()
        return struct.pack("<Q", len(header)) + header + data
    text = json.dumps(about, separators=(",", ":")).encode()
    put("kept", "head", b"a\1\2" + text + b"\0" + floats(8))
    put("kept", "head-file", b"b" + file({"weight": entry("F32", [2, 3], 0, 24), "bias": entry("F32", [2], 24, 32),
                                          "vitrine.head": entry("U8", [len(text)], 32, 32 + len(text))}, floats(8) + text))
    put("kept", "labels", b"c\2\2a\ncaf\xc3\xa9\n\0" + floats(6))
    put("kept", "labels-file", b"d\2" + file({"vectors": entry("F32", [2, 3], 0, 24), "names": entry("U8", [4], 24, 28)},
                                             floats(6) + b"a\nb\n"))
    put("kept", "vector", b"e\3\0")
    put("kept", "vector-changed", b"e\3\0\x22\xff")
    put("kept", "vector-longer", b"e\3\x0a")
    put("kept", "vector-shorter", b"e\3\x64")
    listing = lambda *names: json.dumps({"sha": "0123456789" * 4, "siblings": [{"rfilename": n} for n in names]})
    shards = ["config.json", "model.safetensors.index.json", "1.safetensors", "2.safetensors", "sub/3.safetensors"]
    put("kept", "listing", "f" + listing("config.json", "model.safetensors", "tokenizer.json", "README.md"))
    put("kept", "listing-pickles", "f" + listing("config.json", "pytorch_model.bin"))
    put("kept", "listing-shards", "f" + listing(*shards) + "\0" + json.dumps({"weight_map": {
        "a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}))
    put("kept", "listing-outside", "f" + listing(*shards) + "\0" + json.dumps({"weight_map": {"a": "sub/3.safetensors"}}))
    for name, text in [("plain", "gpt2"), ("revision", "google/vit-base_16.224@refs/pr/1"), ("outside", "a/b@../../c"),
                       ("hidden", "a/b@.c")]:
        put("kept", "name-" + name, "g" + text)
    put("kept", "commit", "h" + "0123456789" * 4 + "\n")
    put("kept", "headers", "iHTTP/1.1 302 Found\r\nETag: W/\"" + "1" * 40 + "\"\r\nX-Linked-Etag: \"" + "2" * 64 +
        "\"\r\nX-Linked-Size: 1234\r\nX-Repo-Commit: " + "0123456789" * 4 + "\r\nContent-Length: 56\r\n\r\n")
    put("kept", "headers-part", "iHTTP/2 206 \r\nContent-Range: bytes 100-199/200\r\n\r\n")
    put("kept", "headers-busy", "iHTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nX-Error-Code: GatedRepo\r\n"
        "X-Error-Message: wait\r\n\r\n")
    write_dictionary("kept", json_words("kept") + ["HTTP/1.1 200", "HTTP/2 206", "ETag:", "X-Linked-Etag:", "X-Linked-Size:",
                                                   "X-Repo-Commit:", "Content-Length:", "Content-Range: bytes ", "Retry-After:",
                                                   "X-Error-Code:", "X-Error-Message:",
                                                   "config.json", "tokenizer.json", "model.safetensors", ".safetensors",
                                                   '{"rfilename":"', "pytorch_model.bin", "\0\0\x80\x7f", "\0\0\xc0\x7f", "@",
                                                   "../", "--", ".git"])


def write_dictionary(target, words):
    os.makedirs(os.path.join(HERE, "dict"), exist_ok=True)
    escape = lambda word: "".join(c if " " <= c <= "~" and c not in '"\\' else "\\x%02x" % ord(c) for c in word)
    with open(os.path.join(HERE, "dict", target), "w") as file:
        file.write("".join('"%s"\n' % escape(word) for word in words))


def json_words(target):
    words = set()
    for name in os.listdir(os.path.join(HERE, "corpus", target)):
        with open(os.path.join(HERE, "corpus", target, name), "rb") as file:
            data = file.read()
        words |= {w.decode() for w in re.findall(rb'"([A-Za-z_][A-Za-z0-9_.-]{2,39})"', data)}
    return ['"%s"' % w for w in sorted(words)] + [":true", ":false", ":null", ":0", ":-1", ":1e308", ":4294967296",
                                                  ":9223372036854775807", "[]", "{}", "\\u0000", "\\n", "\0"]


shutil.rmtree(os.path.join(HERE, "corpus"), ignore_errors=True)
pictures()
tensors()
configs()
tokenizers()
frames()
packed()
streams()
lists()
kept()
options()
for target in ["safetensors", "index", "config", "tokenizer", "packed"]:
    write_dictionary(target, json_words(target))
write_dictionary("stream", ["YUV4MPEG2 ", "FRAME\n", "FRAME ", " W", " H", " F30:1", " C420jpeg", " C420mpeg2", " C420paldv",
                            " Cmono", " XYSCSS=420", " XCOLORRANGE=FULL", " XCOLORRANGE=LIMITED", "\xff\xd8\xff", "\xff\xd9",
                            "\xff\xda", "\xff\xe1", "\xff\xc0", "\xff\xff", "--b\r\n", "\r\n--", "Content-Length: "])
write_dictionary("image", ["\x89PNG\r\n\x1a\n", "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "eXIf", "acTL", "iCCP", "\xff\xd8\xff",
                           "\xff\xda", "\xff\xc2", "\xff\xc4", "\xff\xdb", "\xff\xe1", "Exif\0\0", "II*\0", "MM\0*", "RIFF",
                           "WEBP", "VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "EXIF", "GIF89a", "GIF87a", "BM",
                           "8BPS", "P5\n", "P6\n", "#?RADIANCE\n", "-Y 2 +X 2\n", "FORMAT=32-bit_rle_rgbe\n"])
