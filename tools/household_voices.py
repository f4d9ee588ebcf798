"""Fit the sounds of PocketSphinx's English to synthetic voices: a transform of its means (MLLR).

    python3 tools/household_voices.py --model MODELDIR/en-us/en-us --household examples/household \\
        --sphinxtrain BINDIR --work WORK --out examples/household/voices-1.mllr VOICE...

Sentences of the household (household_words.py) are spoken by espeak-ng in the voices named, and
SphinxTrain finds the transform under which the model takes them best. BINDIR holds bw, mllr_solve,
sphinx_fe and pocketsphinx_mdef_convert, which Debian has in the packages sphinxtrain and pocketsphinx.
Wants numpy.
"""

import argparse
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np

import household_words

RATE = 16000
# What the voice loop gives to recognition: from 300 ms before the first loud sample to 420 ms behind
# the last, with the faintest noise.
BEFORE, BEHIND, LOUD, FAINT = 4800, 6720, 300, 17
SPEEDS = [175, 140, 160, 190]
FEATURES = ["-feat", "1s_c_d_dd", "-svspec", "0-12/13-25/26-38", "-cmn", "current", "-agc", "none"]
CEPSTRA = """-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22 -samprate 16000
    -remove_noise yes -remove_silence no -ei raw -eo mfc -raw yes""".split()


def run(*command):
    """A program that must do its work."""
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def speak(text, voice, speed, path):
    """Raw samples at 16 kHz, as recognition gets them."""
    run("espeak-ng", "-z", "-b", "1", "-v", voice, "-s", speed, "-w", path.with_suffix(".wav"), "--", text)
    with wave.open(str(path.with_suffix(".wav"))) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        n = len(sound) * RATE // file.getframerate()
    path.with_suffix(".wav").unlink()
    spectrum = np.fft.rfft(sound)[:n // 2 + 1]
    slow = np.fft.irfft(spectrum, n) * n / len(sound)
    loud = np.nonzero(np.abs(slow) > LOUD)[0]
    whole = np.pad(slow[loud[0]:loud[-1] + 1], (BEFORE, BEHIND))
    whole += np.random.default_rng(len(whole)).integers(-FAINT, FAINT + 1, len(whole))
    path.write_bytes(np.clip(whole, -32768, 32767).astype("<i2").tobytes())


def write_mixture(sendump, path):
    """The compressed mixture weights as SphinxTrain reads them."""
    data = sendump.read_bytes()
    at, facts = 0, {}
    while size := struct.unpack_from("<i", data, at)[0]:
        words = data[at + 4:at + 3 + size].decode().split() or [""]
        facts[words[0]] = words[-1]
        at += 4 + size
    words, senones = struct.unpack_from("<2i", data, at + 4)
    features = int(facts["feature_count"])
    levels = np.frombuffer(data, np.uint8, features * words * senones, at + 12)
    weights = np.power(1.0001, -(levels.astype(np.int64) << int(facts.get("mixw_shift", 10))))
    table = weights.reshape(features, words, senones).transpose(2, 0, 1).astype("<f4")
    header = struct.pack("<I4i", 0x11223344, senones, features, words, table.size)
    path.write_bytes(b"s3\nversion 1.0\nendhdr\n" + header + table.tobytes())


def chosen(household, count):
    """Sentences of words that the household's dictionary has."""
    with open(household / "words.dict", encoding="utf-8") as lines:
        known = {line.split()[0] for line in lines}
    every = household_words.sentences(100 * count, seed=77)
    fit = (words for words in every if known.issuperset(words) and 3 <= len(words) <= 12)
    return [next(fit) for _ in range(count)]


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "household", "sphinxtrain", "work", "out"):
        parser.add_argument("--" + name, type=Path, required=True)
    parser.add_argument("--count", type=int, default=150, help="sentences for each voice")
    parser.add_argument("voices", nargs="+", metavar="VOICE")
    args = parser.parse_args()
    work, model, tools = args.work, args.model, args.sphinxtrain
    for folder in ("sound", "counts"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    texts = chosen(args.household, args.count)
    with open(work / "names", "w", encoding="utf-8") as names, \
            open(work / "texts", "w", encoding="utf-8") as said:
        for number, voice in enumerate(args.voices):
            for i, words in enumerate(texts):
                name = f"{number}-{i}"
                speak(" ".join(words), voice, SPEEDS[i % len(SPEEDS)],
                      work / "sound" / f"{name}.raw")
                names.write(name + "\n")
                said.write(f"<s> {' '.join(words)} </s> ({name})\n")
    run(tools / "sphinx_fe", *CEPSTRA, "-c", work / "names", "-di", work / "sound", "-do", work / "sound")
    run(tools / "pocketsphinx_mdef_convert", "-text", model / "mdef", work / "mdef")
    write_mixture(model / "sendump", work / "mixture")
    run(tools / "bw", "-hmmdir", model, "-moddeffn", work / "mdef", "-mixwfn", work / "mixture",
        "-ts2cbfn", ".ptm.", *FEATURES, "-dictfn", args.household / "words.dict",
        "-fdictfn", model / "noisedict", "-ctlfn", work / "names", "-lsnfn", work / "texts",
        "-cepdir", work / "sound", "-cepext", "mfc", "-accumdir", work / "counts")
    run(tools / "mllr_solve", "-meanfn", model / "means", "-varfn", model / "variances",
        "-outmllrfn", args.out, "-accumdir", work / "counts")


if __name__ == "__main__":
    main()
