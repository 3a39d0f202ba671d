"""What the oracle is asked: prompts to continue, texts to tokenise, conversations to render."""

from __future__ import annotations

from typing import Any

PROMPTS = (
    "def fibonacci(n: int) -> int:\n",
    "The capital of France is",
    "北京是中国的首都,",
    (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "Write a Python function that reverses a string.<|im_end|>\n<|im_start|>assistant\n"
    ),
)

TOKENISED = (
    "Hello, world!",
    "  leading and trailing  ",
    "tabs\tand\n\nnewlines\r\n  \n mixed",
    "def f(x):\n    return {'a': x ** 2, \"b\": [1, 2, 3]}  # done\n",
    'for (int i = 0; i < 10; ++i) { printf("%d\\n", i); }',
    "你好,世界!今天天气怎么样?",
    "こんにちは、世界。カタカナとひらがな",
    "Привет, мир! Ёжик",
    "مرحبا بالعالم",
    "สวัสดีชาวโลก",
    "नमस्ते दुनिया",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 flag 👍🏽 thumbs",
    "1234567890 3.14159 1,000,000 0x7fff 1e-9",
    "e\u0301 is composed to \u00e9 by NFC, \ufb01 is not",
    "I'll, you've, we're, IT'S, don'T",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>",
    '<tool_call>\n{"name": "f"}\n</tool_call>',
    "<|fim_prefix|>def a():<|fim_suffix|>    return b<|fim_middle|>",
    "<|im_start |> is no token, <|im_start|> is",
    "[PAD151665] is text",
    "a\u0000b\u200bc\ufeffd",
    "x" * 70,
    " " * 33 + "y",
    "snake_case camelCase SCREAMING_CASE kebab-case path/to/file.py https://example.org/?q=1&r=2#f",
    "",
)

# Where families of tokenizers differ: numbers of all scripts, beside letters, spaces and signs.
NUMBERS = (
    "12 123 1234 12345678 007",
    "v1.2.3-rc4 3rd x2 2x a1b2c3 0.5e-10",
    "1\n2\t3\r\n 4  5   6",
    "\u0663\u0664\u0665 \u0967\u0968\u0969 \uff11\uff12\uff13",
    "\u00bd \u00b2 \u2167 \u2460 x\u2082 \u5341\u4e8c",
    "2026-11-29T10:15:00Z +49 (0)30 123-456 #42 50% $9.99",
    "it's 5 o'clock, I'd say; they'll've 2",
)

CONVERSATIONS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"role": "user", "content": "Hello"},),
    ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}),
    (
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "你好!有什么可以帮您?"},
        {"role": "user", "content": '  <b>spaces</b> & "quotes"\n'},
    ),
)

# Prompts of the tiny models are token ids: their words mean nothing.
# Longer than the original context of the scaled models.
LONG_PROMPT = tuple(7 * index % 300 for index in range(200))
TINY_PROMPTS = ((1,), (7, 7, 7, 7), tuple(range(0, 250, 5)), (256, 12, 300, 3, 99, 258))
