"""Strings that tokenizers disagree about, by what is nasty in them.

`python -m tests.reference.golden_tokens` writes what Hugging Face's tokenizers
make of them to tests/golden/tokens.json.
"""

SPACES = [0x9, 0xa, 0xb, 0xc, 0xd, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0,
          0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f,
          0x3000]
CONTROLS = [0x0, 0x1, 0x7, 0x8, 0x1b, 0x7f, 0x80, 0x9f]
FORMATS = [0xad, 0x600, 0x61c, 0x6dd, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e,
           0x200f, 0x202a, 0x202e, 0x2060, 0x2064, 0x2066, 0x206f, 0xfeff,
           0xfff9, 0xfffb, 0xfffc, 0xfffd, 0x110bd, 0x1d173, 0xe0001, 0xe0041,
           0xe007f]
IGNORED = [0x34f, 0x115f, 0x1160, 0x17b4, 0x180b, 0x3164, 0xfe00, 0xfe0e,
           0xfe0f, 0xffa0, 0xe0100, 0xe01ef]
NOWHERE = [0x378, 0x2fe0, 0xe000, 0xf8ff, 0xfdd0, 0xfffe, 0xffff, 0x1fffe,
           0x3ffff, 0xe0fff, 0xf0000, 0x10fffd, 0x10ffff]
NEW = [0x1e9e, 0x20bf, 0x2e52, 0x9ffd, 0x1f979, 0x1fae8, 0x1fac6, 0x323af,
       0x31350, 0x11f00, 0x11f43, 0x1b4e, 0x870, 0x1c89, 0x16d6d]


def _around(codes):
  return [f"good{chr(code)}film {chr(code)} a{chr(code)}" for code in codes]


GROUPS = {
    "plain": [
        "", "a", "a good film", "A Good Film.", "It is. Is it?", "unaffable",
        "reading, readable", "the THE The tHe", "\U0001d400 film", "good-bad",
        "good--bad", "good_film", "a.b,c;d:e!f?g", "...", "a" * 5],
    "white space": [
        " ", "   ", "\n", "\t\t", "\r\n\r\n", " a", "a ", "  a  ", "a\r\nb",
        "a\n\nb", "\u3000a\u3000", "\xa0", "\u2028", "\u200b", " \u200b ",
        "a \n\t b", *_around(SPACES)],
    "controls": [
        "\x00", "\x00a", "a\x00", "\x01\x02\x03", "a\x1b[31mred\x1b[0m",
        "\x7f\x7f", *_around(CONTROLS)],
    "format characters": [
        "\ufeffgood", "go\u00adod fi\u00adlm", "\u200fgood\u200e",
        "\u202egood\u202c film", "\ufffd", "a\ufffd\ufffdb", *_around(FORMATS)],
    "not seen": _around(IGNORED),
    "unassigned and private": _around(NOWHERE),
    "newer than the tables": _around(NEW),
    "accents": [
        "\u00e9", "e\u0301", "\u00c9", "E\u0301", "\u0301", " \u0301 ",
        "a\u0301\u0302\u0303", "\u1ebf", "e\u0302\u0301", "e\u0301\u0302",
        "na\u00efve caf\u00e9", "nai\u0308ve cafe\u0301",
        "\u00c5 \u212b A\u030a", "\u0149 \u01f0", "o\u0338 \u00f8 \u0141",
        "\u0344\u0345", "q\u0307\u0323", "q\u0323\u0307", "\u0958 \u0915\u093c",
        "\u2260 =\u0338", "\u226e", "\u1e9b\u0323", "Vi\u1ec7t Nam",
        "Z\u0351\u036b\u0343a\u0489lgo", "\u20dda \u20e3", "a\u302e\u302ab",
        "a\u302e\U0001d165", "\u0f71\u0f72\u0f74",
        "\U0001d15e \U0001d157\U0001d165", "\u05e9\u05c1\u05bc"],
    "case": [
        "\u0130stanbul", "I\u0307", "\u0131s\u0131k", "DI\u015eI", "i\u0307",
        "\u00df", "stra\u00dfe", "STRASSE", "\u1e9e", "\u03a3",
        "\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2", "\u03c3\u03c2",
        "\u01c4 \u01c5 \u01c6", "\u0345A", "\u1fb3 \u1fbc", "\u1f88",
        "\u0390 \u1fd3", "\u0587", "\u10a0 \u2d00 \u1c90", "\u13a0 \uab70",
        "\ua64a \u1c88", "\U00010400", "\u2160 \u2170", "\u24b6 \u24d0",
        "\u2126 \u212a \u2132", "\u00b5 \u03bc", "McDonald's iPhone",
        "\u0410\u0411\u0412", "\u0419\u0401"],
    "compatibility forms": [
        "\ufb01lm", "\ufb00 \ufb02 \ufb03 \ufb04 \ufb05 \ufb06", "\ufb13",
        "\u2026", "\u2025", "\u00bd \u2153", "x\u00b2 x\u00b3", "\u2460 \u2776",
        "\uff27\uff4f\uff4f\uff44", "\uff01\uff0c\uff0e", "\uff11\uff12",
        "\uffe5 \uffe1", "\uff71\uff72\uff73", "\uff76\uff9e", "\u3131 \uffa1",
        "\u32ff \u337e \u33a7", "\u2122 \u2120 \u00ae", "\u2103 \u212f",
        "\u00aa \u00ba", "\ufdfa", "\ufe8e", "\u02b0 \u1d43", "\u2474 \u249c",
        "\U0001d4d0\U0001d4d1 \U0001d7ce\U0001d7d8", "\U0001f130 \U0001f170",
        "\u3392 \u33d2", "\u1d2c"],
    "Chinese, Japanese, Korean": [
        "\u6f22\u5b57", "good\u6f22film", "\u6f22 \u5b57\u3002", "\u3400\u4dbf",
        "\u9fff\ua000", "\uf900", "\ufa0e \ufaff", "\U00020000\U0002a6df",
        "\U0002a700 \U0002b740", "\U0002b820 \U0002ceb0", "\U0002f800",
        "\U00030000", "\u3005 \u3007", "\u2e80 \u2f00", "\u31c0", "\u3400a",
        "\u3042\u308a\u304c\u3068\u3046", "\u30d7\u30ed\u30b0\u30e9\u30e0",
        "\u30d5\u309a", "\u304c \u304b\u3099", "\u30fc\u30fb",
        "\u300c\u6f22\u300d", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab",
        "\u3131\u314f", "\ud7a3\ud7b0", "\ua960", "\u6f22\ufe00",
        "\u845b\U000e0100", "\u3299", "\u6f22" * 60],
    "other scripts": [
        "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
        "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f",
        "\u0627\u0653 \u0622", "\u0640\u0640", "\u061f \u060c \u061b",
        "\u0661\u0662\u0663", "\u05e9\u05dc\u05d5\u05dd", "\u05be \u05f3",
        "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0915\u094d\u200d\u0937",
        "\u0964 \u0965", "\u09ac\u09be\u0982\u09b2\u09be",
        "\u0e44\u0e17\u0e22 \u0e33", "\u0e20\u0e32\u0e29\u0e32",
        "\u0f56\u0f7c\u0f51\u0f0b", "\u1019\u103c\u1014\u103a",
        "\u1780\u17d2\u1798", "\u12a0\u121b\u122d\u129b\u1362",
        "\u0531\u0540 \u0589", "\u10e5\u10d0\u10e0", "\u13a3\u13b3",
        "\u1404\u14c4", "\u1820\u1822\u180e", "\u07ca\u07f7", "\u0710\u0730",
        "\u0b95\u0bcd", "\U00010330\U00010331", "\U00010900",
        "\U0001e900\U0001e944", "\ua4d0\ua4fe", "\u2800\u28ff", "\u16a0\u16eb"],
    "emoji": [
        "\U0001f44d", "\U0001f44d\U0001f3fd",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea",
        "\u2764\ufe0f", "\u2764\ufe0e", "1\ufe0f\u20e3", "#\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e007f",
        "good\U0001f642film", "\U0001f642" * 40, ":-) ;) <3", "\u263a\ufe0f",
        "\u00a9\ufe0f", "\U0001f937\u200d\u2642\ufe0f", "\U0001f979"],
    "special tokens": [
        "[MASK]", "[CLS] a [SEP]", "[SEP]", "[PAD]", "[UNK]", "a[MASK]b",
        "[mask]", "[ MASK ]", "[MASK", "MASK]", "[[MASK]]", "[MA\u200bSK]",
        "\uff3bMASK\uff3d", "<s>", "</s>", "<mask>", "a <mask> b", "<pad>",
        "<unk>", "< mask >", "##a", "a ##b", "## # ###a", "[unused1]",
        "<|endoftext|>", "\u0120the", "\u2581a", "[MASK]."],
    "long": [
        "a" * 99, "a" * 100, "a" * 101, "a" * 5000, "\u00e9" * 50,
        "\u00e9" * 100, "\u00e9" * 101, "e\u0301" * 60, "\u0430" * 100,
        "\u0430" * 101, "\u0e01" * 34, "\u0e01" * 100, "\U0001f642" * 100,
        "\U0001f642" * 101, "\ud55c" * 34, "\ud55c" * 33, "a\u0301" * 101,
        "b" * 100 + "." + "b" * 101, "." * 300, "a\u200b" * 80, "a\u00ad" * 101,
        "a good film. " * 150, "x" * 101 + " a", "\u0130" * 101, "a-" * 200,
        "\u6f22" * 200, "good " * 300, " " * 1000, "\x00" * 200 + "a",
        "\u0301" * 300 + "b"],
    "numbers and signs": [
        "3.14", "1,000,000", "1 000", "1\u202f000", "1'000", "1e-10", "-5",
        "\u22125", "+5%", "50\u00b0C", "$5", "\u20ac5", "5\u20ac", "\u00a35",
        "\u20b95", "\u20bf", "#1", "@me", "a&b", "a+b=c", "2*3", "a^b", "a|b",
        "~a", "`a`", "\u00ac \u00a6 \u00b1 \u00d7 \u00f7",
        "\u2190 \u2192 \u21d2", "\u2200x\u2203y", "\u221a2 \u2211 \u222b",
        "\u00a7 \u00b6", "\u2020 \u2021", "12:30", "2026-11-21", "192.168.0.1",
        "1/2", "\u215b", "\u0967\u0968", "\u00b7 \u2022", "\u00ab a \u00bb",
        "\u201ea\u201c"],
    "apostrophes": [
        "don't", "don\u2019t", "I've we'll you're he'd I'm", "'S 'T", "it's",
        "it\u02bcs", "o'clock", "''a''", "rock 'n' roll", "'", "'s", " 's",
        "d'\u00e9t\u00e9", "a\u2032b\u2033", "\u2018a\u2019", "can't've",
        "'Re 'VE"],
    "URLs and code": [
        "https://example.com/a?b=c&d=e#f", "me@example.com", "C:\\a\\b",
        "/usr/bin/a", "def f(x): return x**2", "a[i] = b->c;", "<b>a</b>",
        "&amp; &#39;", "%20", "\\u00e9 \\n", "a\\", "{\"a\": [1, 2]}",
        "x = y if z else w", "__init__", "a::b", "--flag=1", "$HOME ${a}",
        "#include <a.h>", "/* a */ // b", "\\(\\alpha\\)", "SELECT * FROM a;",
        "; DROP", "../../a", "a\u0000.txt", "<!-- a -->"],
    # Lone surrogates, as Python keeps bytes that are none.
    "not UTF-8": [
        "\ud800", "a\udfffb", "good \udcff film", "\ud83d", "\ude00\ud83d"],
}
TEXTS = tuple(dict.fromkeys(
    text for texts in GROUPS.values() for text in texts))
# What stands for no text at all; ours read it as U+FFFD, or as nothing.
BYTES = (b"\xff", b"a\xffb", b"\xc3", b"a\xc3 b", b"\xc0\x80", b"\xed\xa0\x80",
         b"\xf4\x90\x80\x80", b"\xe6\xbc good", b"good\x80\x80film",
         b"\xfe\xff\x00a", b"a\xf0\x9f\x98", b"\xe2\x80")
