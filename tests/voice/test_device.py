"""The sound card: PulseAudio's null sinks are its loudspeaker and, by a monitor, its microphone. They
keep time as a card does, and go away when the server does."""

import array
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from voice_case import LOOP, Case, main, mix, say, write_wav

PATIENCE = 60  # seconds, on a machine that does much else
SERVER = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes",
          "--use-pid-file=no", "--log-level=0"]
SINKS = ["speaker", "microphone"]


class Card:
    """The sound server, with folders of its own."""

    def __init__(self, folder):
        self.socket = folder / "native"
        self.process = None
        (folder / "asound.conf").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self.env = os.environ | {
            "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_SERVER": f"unix:{self.socket}", "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "JACK_NO_START_SERVER": "1", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/dev/null",
            # The libraries below PortAudio keep some memory for ever.
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}

    def start(self):
        modules = [f"module-native-protocol-unix socket={self.socket} auth-anonymous=1"]
        modules += [f"module-null-sink sink_name={name} rate=16000 channels=1" for name in SINKS]
        words = [w for m in modules for w in ("-L", m)]
        self.process = subprocess.Popen(SERVER + words, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.pactl("set-default-sink", SINKS[0]), "the sound server")
        assert self.pactl("set-default-source", f"{SINKS[1]}.monitor")

    def pactl(self, *words):
        return subprocess.run(["pactl", *words], env=self.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def say_to(self, wav):
        subprocess.run(["paplay", f"--device={SINKS[1]}", wav], env=self.env, check=True,
                       timeout=PATIENCE)


def wait_for(have, what):
    end = time.monotonic() + PATIENCE
    while not have():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: waited {PATIENCE} s")
        time.sleep(0.05)


class Device(Case):
    def setUp(self):
        super().setUp()
        self.card = Card(self.dir)
        self.card.start()
        self.addCleanup(lambda: self.card.process.poll() is None and self.card.stop())
        self.wav = write_wav(self.dir / "in.wav", mix([(0.3, say("What time is it?"))], 1.6))

    def open(self, *args):
        """The loop, ready to listen."""
        self.ledger, self.errors = self.dir / "ledger", self.dir / "errors"
        self.errors.touch()
        with open(self.errors, "ab") as errors:
            self.loop = subprocess.Popen(
                [LOOP, "--recognizer", "fake", "--recognizer-address",
                 "what time is it|what time is it|what time is it", "--ledger", self.ledger, *args],
                env=self.card.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        self.addCleanup(self.loop.wait)
        self.addCleanup(self.loop.kill)
        self.addCleanup(self.loop.stdin.close)
        self.wait_listening()

    def wait_listening(self):
        def listens():
            self.assertIsNone(self.loop.poll(), self.errors.read_text())
            out = subprocess.run(["pactl", "list", "short", "source-outputs"], env=self.card.env,
                                 stdout=subprocess.PIPE).stdout
            return bool(out.strip())
        wait_for(listens, "somebody to listen")
        time.sleep(1)  # of silence, which is the room

    def press(self):
        self.loop.stdin.write(b"\n")
        self.loop.stdin.flush()

    def turns(self):
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [json.loads(x) for x in lines]

    def ask(self, n):
        """Asks, and returns turn n."""
        self.card.say_to(self.wav)
        wait_for(lambda: len(self.turns()) >= n, f"turn {n}")
        turn = self.turns()[n - 1]
        self.in_order(n, turn)
        self.assertIsNone(turn["error"])
        self.assertEqual(turn["transcript"], "what time is it")
        self.assertEqual(turn["spoken"], turn["answer"])
        return turn

    def test_a_question_is_answered_aloud(self):
        self.open()
        sound = self.dir / "heard.raw"
        with open(sound, "wb") as file, subprocess.Popen(
                ["parec", f"--device={SINKS[0]}.monitor", "--rate=16000", "--channels=1"],
                env=self.card.env, stdout=file) as recorder:
            turn = self.ask(1)
            time.sleep(0.5)
            recorder.terminate()
        data = sound.read_bytes()
        heard = array.array("h", data[:len(data) // 2 * 2])
        loud = sum(abs(x) > 200 for x in heard)
        self.assertGreater(loud, 2000)
        self.assertGreater(turn["last_audio_ms"] - turn["first_audio_ms"], 500)

    def test_the_card_goes_and_comes_back(self):
        self.open()
        self.ask(1)
        self.card.stop()
        wait_for(lambda: "the sound card is gone" in self.errors.read_text(), "a word of it")
        self.card.start()
        wait_for(lambda: "the sound card is there again" in self.errors.read_text(), "its return")
        self.wait_listening()
        self.ask(2)

    def test_a_machine_that_slept_goes_on(self):
        self.open()
        self.ask(1)
        self.loop.send_signal(signal.SIGSTOP)
        time.sleep(4)
        self.loop.send_signal(signal.SIGCONT)
        time.sleep(2)
        self.ask(2)

    def test_push_to_talk(self):
        self.open("--push-to-talk")
        self.card.say_to(self.wav)
        time.sleep(3)
        self.assertEqual(self.turns(), [])  # nobody pressed
        self.press()
        time.sleep(0.5)
        self.card.say_to(self.wav)
        time.sleep(3)  # such a microphone is up to two seconds late
        self.assertEqual(self.turns(), [])
        self.press()
        wait_for(self.turns, "turn 1")
        turn, = self.turns()
        self.assertEqual(turn["transcript"], "what time is it")
        self.assertGreater(turn["vad_end_ms"] - turn["speech_end_ms"], 800)  # it was held


if __name__ == "__main__":
    for program in "pulseaudio", "pactl", "paplay", "parec":
        if not shutil.which(program):
            print(f"{program} is not installed: nothing was tested")
            sys.exit(1 if os.environ.get("CI") == "true" else 77)
    main()
