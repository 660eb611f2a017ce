#!/usr/bin/env python3
"""Writes tests/text/fixtures/*.json: what an independent, plain implementation of byte-level BPE makes of hard text.

    scripts/make_tokenizer_fixtures.py [--data DIR]

Needs Debian's python3-regex. The small vocabulary of the fixtures is trained here. With --data (the folder that FABULA_DATA
names) the ids of the same text in the real vocabularies are written too; the vocabularies themselves are not.
"""
import argparse
import base64
import json
import pathlib
import random

import regex

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "fixtures"

PATTERNS = {
    "gpt2": r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
    "cl100k_base": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
    "o200k_base": "|".join([
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""]),
}

TRAINING = """The little hedgehog said, "I'll find it, I've found it, I'm sure we're lucky; it's there, he'd say, don't run!"
The quick brown fox jumps over the lazy dog. The five boxing wizards jump quickly. 1234567890 3.14159 2024-11-05
Zażółć gęślą jaźń. Der Fuchs läuft über die Brücke. Où est la bibliothèque? ¿Dónde está el niño? Ξεσκεπάζω τὴν ψυχοφθόρα
Съешь же ещё этих мягких французских булок, да выпей чаю. 我能吞下玻璃而不伤身体。 私はガラスを食べられます。 나는 유리를 먹을 수 있어요
أنا قادر على أكل الزجاج و هذا لا يؤلمني. אני יכול לאכול זכוכית 😀😃👍🏽 👨‍👩‍👧‍👦 🇫🇷 aaaaaaaa    tabs\t\tand\n\n\nlines
""" * 3 + "low lower lowest newer newest wider widest lowest lowest newest " * 8


def hard_texts():
    rng = random.Random(20240229)
    texts = [
        "", " ", "  ", "a", " a", "a ", "\n", "\r\n", "\x00", "\x00\x00a\x00", "hello world", "Hello, World!",
        "I'll he'd we're I've don't it's I'm 'tis rock'n'roll O'Neill's", "I'LL HE'D WE'RE IT'S DON'T I'M", "it\u2019s it\u02bcs",
        "'s 't 're 've 'm 'll 'd", "''s'''ll", "x's's'sss", "'\u017f '\u017fa", "a  b   c    d     e", "a\tb\t\tc\t \td", "   leading", "trailing   ",
        " \n \n  x", "x \n\n y\n", "a\r\nb\r\n\r\nc", "\u00a0\u00a0nbsp\u00a0x", "\u2003em\u2003space\u3000wide", "line\u2028sep\u2029par\u0085nel",
        "\u180emvs \u180e x", "\u200bzero\u200bwidth\ufeffbom", "\x0b\x0c\x1c\x1d\x1e\x1f!", "1234567890", "1 22 333 4444 55555", "3.14e-10 0xFF 1,000,000",
        "\u00bd\u00b2\u2167\u0664\u0665\u4e00\u4e8c\u3007", "abc123def456", "camelCaseHTTPServer XMLHttpRequest iPhone McDonald", "ALL CAPS TEXT",
        "\u01c5\u01c8 titlecase \u02b0\u02b2 modifiers", "e\u0301 a\u0308\u0323 \u0301x n\u0303", "\u0915\u094d\u0937\u093f \u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
        "\u4f60\u597d\uff0c\u4e16\u754c\uff01\u8fd9\u662f 123 \u4e2a\u6d4b\u8bd5\u3002", "\u3053\u3093\u306b\u3061\u306f\u30ab\u30bf\u30ab\u30ca\u30fc\uff76\uff85", "\uc548\ub155\ud558\uc138\uc694 \u1112\u1161\u11ab",
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0650\u0633\u0652\u0645\u0650 \u0661\u0662\u0663", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5",
        "\U0001f600\U0001f601", "\U0001f44d\U0001f3fd\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1eb\U0001f1f7", "\u2764\ufe0f\u200d\U0001f525", "\U0001d400\U0001d7d9 \U00020000\U0002a6d6", "\U0010ffff\uffff\ufffd\ue000",
        "$%^&*()_+-=[]{}|;:,.<>/?~`", "!!!??? ... --- ===\n===", "a/b/c\\d//e\n//f", "foo(bar)[baz]{qux};\n\treturn x;\n}\n", "http://example.com/a?b=c&d=%20",
        "<|endoftext|>", "a<|endoftext|>b", "<|endoftext", "\u0130\u0131\u00df\u1e9e\ufb01", "\u2026\u201cquoted\u201d \u2018single\u2019 \u2014 dash", "\u00e6\u00f8\u00e5\u00c6\u00d8\u00c5 na\u00efve co\u00f6perate",
        "a" * 33, "ab" * 50, "=" * 100, " " * 70 + "x", "\n" * 40, "9" * 41, "lowest" * 20, "\u4f60" * 40, "\U0001f600" * 17,
    ]
    out = [text.encode() for text in texts]
    out += [b"\xff", b"\x80abc", b"abc\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82 \xe2\x82\xac", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\xf0\x9f",
            b"\xed\xa0\x80\xed\xbf\xbf", b"\xc0\xaf\xe0\x80\xaf", b"\xf4\x90\x80\x80\xf5", b"  \xff  \xff\xff x", b"it\xe2's \xff'll", b" \x80 a", bytes(range(256))]
    alphabet = ["a", "T", "l", "'", "'ll", " ", "  ", "\n", "\r", "\t", "1", "\u0664", ".", "/", "\u00e9", "\u0301", "\u4f60", "\U0001f600", "\u00a0", "\u200d", "\u01c5"]
    for _ in range(24):
        out.append("".join(rng.choice(alphabet) for _ in range(rng.randrange(10, 60))).encode())
    for _ in range(12):
        out.append(bytes(rng.choice([rng.randrange(256), 0x20, 0x61, 0xe2, 0x82, 0xac]) for _ in range(rng.randrange(5, 60))))
    return out


def pieces(data, pattern):
    """Pieces of valid stretches by the pattern; bytes that are not UTF-8 one by one."""
    compiled = regex.compile(pattern)
    out, stretch = [], ""
    for char in data.decode("utf-8", "surrogateescape"):
        if 0xDC80 <= ord(char) <= 0xDCFF:
            out += [match.group().encode() for match in compiled.finditer(stretch)]
            out.append(bytes([ord(char) - 0xDC00]))
            stretch = ""
        else:
            stretch += char
    out += [match.group().encode() for match in compiled.finditer(stretch)]
    assert b"".join(out) == data, data
    return out


def byte_characters():
    printable = list(range(ord("!"), ord("~") + 1)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    others = [byte for byte in range(256) if byte not in printable]
    return printable + others, {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


BYTE_ORDER, TO_CHAR = byte_characters()
FROM_CHAR = {char: byte for byte, char in TO_CHAR.items()}


def printable(data):
    return "".join(TO_CHAR[byte] for byte in data)


def merge_all(symbols, left, right):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and symbols[i] == left and symbols[i + 1] == right:
            out.append(left + right)
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def train(text, vocab_size, min_count=2):
    """Counts every pair anew for every merge. Ties: the smaller left id, then the smaller right id."""
    words = {}
    for piece in pieces(text, PATTERNS["gpt2"]):
        words[piece] = words.get(piece, 0) + 1
    words = [([bytes([byte]) for byte in piece], count) for piece, count in words.items()]
    ids = {bytes([byte]): i for i, byte in enumerate(BYTE_ORDER)}
    merges = []
    while len(ids) < vocab_size - 1:
        counts = {}
        for symbols, count in words:
            for pair in zip(symbols, symbols[1:]):
                counts[pair] = counts.get(pair, 0) + count
        best = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        if counts[best] < min_count:
            break
        ids[best[0] + best[1]] = len(ids)
        merges.append(best)
        words = [(merge_all(symbols, *best), count) for symbols, count in words]
    ids[b"<|endoftext|>"] = len(ids)
    return ids, merges


def encode_merges(data, pattern, ids, ranks, cache):
    out = []
    for piece in pieces(data, pattern):
        if piece not in cache:
            symbols = [bytes([byte]) for byte in piece]
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: ranks.get(pair, float("inf")))
                if best not in ranks:
                    break
                symbols = merge_all(symbols, *best)
            cache[piece] = [ids[symbol] for symbol in symbols]
        out += cache[piece]
    return out


def encode_ranks(data, pattern, ranks):
    out = []
    for piece in pieces(data, pattern):
        if piece in ranks:
            out.append(ranks[piece])
            continue
        symbols = [bytes([byte]) for byte in piece]
        while len(symbols) > 1:
            rank, i = min((ranks.get(symbols[i] + symbols[i + 1], float("inf")), i) for i in range(len(symbols) - 1))
            if rank == float("inf"):
                break
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        out += [ranks[symbol] for symbol in symbols]
    return out


def fnv1a(ids):
    value = 0xCBF29CE484222325
    for id_ in ids:
        for byte in id_.to_bytes(4, "little"):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def write(name, value):
    text = json.dumps(value, separators=(",", ":")).replace('},{"', '},\n{"').replace('],"', '],\n"') + "\n"
    assert json.loads(text) == value, "a line break fell into a string"
    (FIXTURES / name).write_text(text)
    print(f"{name}: {len(text)} bytes")


def small_fixture(texts):
    training = TRAINING.encode()
    ids, merges = train(training, 700)
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    cases = [{"hex": text.hex(),
              "pieces": {name: [len(piece) for piece in pieces(text, pattern)] for name, pattern in PATTERNS.items()},
              "ids": encode_merges(text, PATTERNS["gpt2"], ids, ranks, {})} for text in texts]
    write("small_bpe.json", {"training": training.decode(), "vocab_size": len(ids),
                             "vocab": {printable(token): id_ for token, id_ in ids.items()},
                             "merges": [printable(left) + " " + printable(right) for left, right in merges], "cases": cases})


def real_fixture(texts, data):
    tokenizers = data / "tokenizers"
    vocab = json.loads((tokenizers / "gpt2_vocab.json").read_text())
    ids = {bytes(FROM_CHAR[char] for char in token): id_ for token, id_ in vocab.items()}
    lines = (tokenizers / "gpt2_merges.txt").read_text().splitlines()[1:]
    ranks = {tuple(bytes(FROM_CHAR[char] for char in half) for half in line.split()): rank for rank, line in enumerate(lines) if line}
    qwen = json.loads((tokenizers / "qwen3_tokenizer.json").read_text())
    qwen_ids = {bytes(FROM_CHAR[char] for char in token): id_ for token, id_ in qwen["model"]["vocab"].items()}
    qwen_ranks = {tuple(bytes(FROM_CHAR[char] for char in half) for half in merge): rank
                  for rank, merge in enumerate(qwen["model"]["merges"])}
    qwen_pattern = qwen["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    tiktoken = {}
    for name in ("cl100k_base", "o200k_base"):
        entries = (line.split() for line in (tokenizers / f"{name}.tiktoken").read_text().splitlines())
        tiktoken[name] = {base64.b64decode(token): int(rank) for token, rank in entries}
    cache = {}
    cases = [{"hex": text.hex(), "gpt2": encode_merges(text, PATTERNS["gpt2"], ids, ranks, cache),
              "qwen3": encode_merges(text, qwen_pattern, qwen_ids, qwen_ranks, {}),
              **{name: encode_ranks(text, PATTERNS[name], known) for name, known in tiktoken.items()}} for text in texts]
    valid = (data / "tinystories" / "valid.txt").read_bytes()
    whole = encode_merges(valid, PATTERNS["gpt2"], ids, ranks, cache)
    write("real_vocabularies.json", {"cases": cases, "valid_txt_gpt2": {"tokens": len(whole), "fnv1a_of_u32": fnv1a(whole)}})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    arguments = parser.parse_args()
    texts = hard_texts()
    FIXTURES.mkdir(parents=True, exist_ok=True)
    small_fixture(texts)
    if arguments.data:
        real_fixture(texts, arguments.data)


if __name__ == "__main__":
    main()
