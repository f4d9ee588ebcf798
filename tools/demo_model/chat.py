"""Talk to a GGUF file of this model, one line of input per message.

    python chat.py --gguf hearth.gguf [--system "Time: 14:05."] [--apart]
"""

import argparse
import sys

import torch

from reader import Assistant


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--system", default="")
    parser.add_argument("--apart", action="store_true", help="each line starts a new conversation")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    assistant = Assistant(args.gguf)
    opening = [("system", args.system)] if args.system else []
    chat = list(opening)
    for line in sys.stdin:
        if args.apart:
            chat = list(opening)
        chat.append(("user", line.strip()))
        answer = assistant.answers([chat])[0]
        chat.append(("assistant", answer))
        print(f"> {line.strip()}\n{answer}", flush=True)


if __name__ == "__main__":
    main()
