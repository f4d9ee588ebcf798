"""Wrong command lines, --help, --version, and files that are no models."""

import os
import stat

from cli_case import SLM, Case, main, slm

COMMANDS = ("run chat serve tokenize detokenize embed template parse-tools grammar logits "
            "perplexity bench inspect quantize pack pull doctor").split()
ARGUMENTS = {
    "run": ["hello"], "chat": [], "tokenize": [], "detokenize": [], "embed": [],
    "logits": ["--ids", "1", "-o", "out.f32"], "perplexity": ["/dev/null"], "bench": [],
    "inspect": [],
}


class Help(Case):
    def test_version(self):
        r = slm("--version")
        self.done(r)
        self.assertRegex(r.out, rb"\Aslm \d+\.\d+\.\d+\n\Z")

    def test_help_lists_the_commands_that_exist(self):
        r = slm("--help")
        self.done(r)
        listed = [x.split()[0] for x in r.out.decode().split("Commands\n")[1].split("\n\n")[0]
                  .splitlines()]
        self.assertEqual(listed, COMMANDS)
        self.fails(slm("fetch"), 2, '"fetch"', "--help")

    def test_help_of_each_command(self):
        for name in COMMANDS:
            with self.subTest(name):
                r = slm(name, "--help")
                self.done(r)
                self.assertTrue(r.out.startswith(f"Usage: slm {name} ".encode()), r)
                self.assertIn(b"--quiet", r.out)

    def test_help_lists_the_options_of_the_contract(self):
        sampling = """--max-tokens --temp --top-k --top-p --min-p --repeat-penalty
            --presence-penalty --frequency-penalty --seed --stop --logit-bias""".split()
        common = ["--threads", "--device", "--ctx", "--kv"]
        on_gpu = ["--chunk-ms", "--cublas"]
        wanted = {
            "run": sampling + common + on_gpu + ["--raw", "--system", "--stats", "--grammar",
                                                 "--json-schema"],
            "chat": sampling + common + on_gpu + ["--system", "--stats"],
            "bench": sampling[1:] + common + on_gpu + ["--json", "-p,", "-n,", "-d,", "-r,"],
            "logits": common + ["--ids", "--ids-file", "-o,", "--batch", "--rope-factors"],
            "perplexity": common,
            "tokenize": ["--special", "--bos", "--no-bos"],
            "detokenize": ["--special"],
            "embed": common + ["--pooling", "--null"],
            "template": ["--messages", "--now"],
            "parse-tools": ["--format"],
            "grammar": ["--grammar", "--json-schema"],
            "pack": ["-o,", "--output"],
            "pull": ["--url", "--sha256", "--catalogue", "--list", "--insecure-http"],
            "inspect": common + ["--json", "--plan", "--device-profile", "--prompt-tokens"],
            "doctor": common + ["--json"],
        }
        for name, options in wanted.items():
            text = slm(name, "--help").out.decode()
            for option in options:
                self.assertIn(option, text, name)


class CommandLine(Case):
    def wrong(self, *args, words=()):
        with self.subTest(args=args):
            self.fails(slm(*args), 2, *words)

    def test_no_command_and_unknown_ones(self):
        self.wrong(words=["no command", "slm --help"])
        self.wrong("", words=['""'])
        self.wrong("Run", words=['"Run"'])
        self.wrong("--verbose", words=['"--verbose"'])
        self.wrong("--version", "extra", words=['"extra"', "--version"])

    def test_a_model_is_wanted(self):
        for name in COMMANDS:
            if name != "doctor":
                self.wrong(name, words=[name])

    def test_too_many_arguments(self):
        self.wrong("run", "m", "p", "x", words=['"x"', "at most 2"])
        self.wrong("tokenize", "m", "x", words=['"x"', "at most 1"])
        self.wrong("perplexity", "m", "f", "x", words=['"x"'])

    def test_unknown_options(self):
        for name in COMMANDS:
            self.wrong(name, "m", "--no-such", words=['"--no-such"', f"slm {name} --help"])
            self.wrong(name, "m", "-Z", words=['"-Z"'])
        for option in ("--tool",):
            self.wrong("run", "m", "p", option, "f", words=[f'"{option}"'])

    def test_values_that_are_missing_or_one_too_many(self):
        self.wrong("run", "m", "p", "--temp", words=["--temp", "got no value"])
        self.wrong("run", "m", "p", "-t", words=["--threads", "got no value"])
        self.wrong("run", "m", "p", "--raw=1", words=["--raw", "no value"])
        self.wrong("run", "m", "p", "--quiet=1", words=["--quiet", "no value"])

    def test_numbers_are_strict(self):
        for value in ("", " 1", "1 ", "+1", "0x1", "1.0", "1e1", "one", "-1", "0", "1025",
                      "99999999999999999999", "1,5", "\u0661"):
            self.wrong("run", "m", "p", "--threads", value, words=["--threads", "from 1 to 1024"])
        for value in ("", "nan", "inf", "-inf", "0x1p3", "1,5", "1.5.", "1e", "-0.1", "101", "1e99",
                      " 1", "1f"):
            self.wrong("run", "m", "p", "--temp", value, words=["--temp", "from 0 to 100"])
        for value in ("-1", "18446744073709551616", "1.5", "x", ""):
            self.wrong("run", "m", "p", "--seed", value, words=["--seed"])
        for option, value in (("--top-p", "1.1"), ("--min-p", "-0.1"), ("--top-k", "-1"),
                              ("--repeat-penalty", "0"), ("--typical", "2"), ("--ctx", "0"),
                              ("--presence-penalty", "101"), ("--frequency-penalty", "x"),
                              ("--penalty-last-n", "-2"), ("--dry-base", "0.5"),
                              ("--chunk-ms", "0"), ("--chunk-ms", "60001"),
                              ("--draft", "33"), ("--draft", "-1"),
                              ("--max-tokens", "-1"), ("--max-tokens", "2147483648")):
            self.wrong("run", "m", "p", option, value, words=[option, f'"{value}"', "from"])

    def test_no_drafts_in_a_measurement(self):
        self.wrong("bench", "m", "--draft", "4", words=["--draft"])

    def test_choices(self):
        self.wrong("run", "m", "p", "--kv", "f64", words=["--kv", '"f64"', "f32|f16|q8_0"])
        self.wrong("run", "m", "p", "--device", "tpu", words=["--device", "cpu|cuda"])
        self.wrong("run", "m", "p", "--load", "", words=["--load", "map|read"])
        self.wrong("logits", "m", "--ids", "1", "-o", "x", "--rope-factors", "f|s",
                   words=["auto|short|long"])

    def test_stop_and_bias(self):
        self.wrong("run", "m", "p", "--stop", "", words=["--stop", "at least one"])
        for value in ("", "1", ":1", "x:1", "1:", "1:x", "1:nan", "1:inf", "-1:1", "1:1:1",
                      "2147483648:1", "1:1e7"):
            self.wrong("run", "m", "p", "--logit-bias", value, words=["--logit-bias", "ID:VALUE"])

    def test_combinations(self):
        self.wrong("run", "m", "p", "--raw", "--system", "s", words=["--system", "--raw"])
        self.wrong("run", "m", "p", "--special", words=["--special", "--raw"])
        self.wrong("logits", "m", "-o", "x", words=["--ids"])
        self.wrong("logits", "m", "--ids", "1", "--ids-file", "f", "-o", "x", words=["both"])
        self.wrong("logits", "m", "--ids", "1", words=["-o OUT"])
        self.wrong("logits", "m", "--ids", "1", "-o", "", words=["-o OUT"])
        self.wrong("bench", "m", "-p", "0", "-n", "0", words=["-p 0", "-n 0"])
        self.wrong("perplexity", "m", "f", "-c", "3", words=["--ctx", '"3"'])

    def test_ids_of_the_command_line(self):
        for value in ("", "[]", "x", "1,", ",1", "1,,2", "[1,2", "[1 2]", "[1,]", "1]", "[1]2",
                      "1.5", "1e3", "2147483648", "1;2", '["1"]', "--"):
            self.wrong("logits", "m", f"--ids={value}", "-o", "x", words=["--ids"])

    def test_lists_of_bench(self):
        for option in ("-p", "-n", "-d"):
            for value in ("", "1,", "x", "-1", "1 2", "1,,2", "1073741825", ",".join(["1"] * 65)):
                self.wrong("bench", "m", option, value)
        for value in ("0", "1,2", "-1", "10001"):
            self.wrong("bench", "m", "-r", value, words=["--repeats"])

    def test_the_line_stays_one_line(self):
        self.wrong("a\nb\x1b[31m", words=["a\\x0ab\\x1b[31m"])
        r = slm("run", "m", "p", "--kv", b"\xff\xc3\xa9\xc2\x85".decode("utf-8", "surrogateescape"))
        self.fails(r, 2, "\\xff\u00e9\\xc2\\x85")


class BadModels(Case):
    def each(self, path, *words):
        for name, args in ARGUMENTS.items():
            if name == "logits":
                args = ["--ids", "1", "-o", self.dir / "out.f32"]
            with self.subTest(command=name, path=str(path)):
                self.fails(slm(name, path, *args), 1, *words)
        self.assertFalse((self.dir / "out.f32").exists())

    def test_absent(self):
        self.each(self.dir / "absent.gguf", "absent.gguf")

    def test_folder(self):
        self.each(self.dir)

    def test_fifo_does_not_block(self):
        os.mkfifo(self.dir / "fifo")
        self.each(self.dir / "fifo", "fifo")

    def test_device(self):
        self.each("/dev/zero", "zero")

    def test_unreadable(self):
        path = self.file("locked.gguf", b"GGUF")
        path.chmod(0)
        if os.access(path, os.R_OK):
            path.chmod(stat.S_IRUSR)
            self.skipTest("this user may read everything")
        self.each(path, "locked.gguf")

    def test_empty_short_and_foreign(self):
        self.each(self.file("empty.gguf", b""), "empty.gguf")
        self.each(self.file("short.gguf", b"GGUF\x03\0\0\0"), "short.gguf")
        self.each(self.file("page.gguf", b"<!DOCTYPE html><html>" + b" " * 999), "page.gguf")

    def test_order_of_complaints(self):
        # the command line comes before the file
        self.fails(slm("run", self.dir / "absent.gguf", "p", "--temp", "x"), 2, "--temp")


class Closed(Case):
    def test_closed_output_is_an_error(self):
        read, write = os.pipe()
        os.close(read)
        child = os.fork()
        if child == 0:
            os.close(1)
            os.dup2(write, 2)
            os.execv(SLM, [SLM, "--help"])
        os.close(write)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 1)


if __name__ == "__main__":
    main(needs_data=False)
