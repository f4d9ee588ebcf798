"""grammar check, and run under a grammar or schema."""

import json

from cli_case import SHARED, STORIES, Case, main, slm

SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8},
                                           "n": {"type": "integer", "minimum": 1, "maximum": 9}},
          "required": ["name", "n"], "additionalProperties": False}


class Grammar(Case):
    def file(self, name, content):
        path = self.dir / name
        path.write_text(content if isinstance(content, str) else json.dumps(content),
                        encoding="utf-8")
        return path

    def check(self, option, path, text):
        r = slm("grammar", "check", option, path, data=text.encode())
        self.assertEqual(r.out, b"", r)
        return r

    def test_reference_texts(self):
        with open(SHARED / "chat/schemas/must.jsonl", encoding="utf-8") as f:
            lines = [json.loads(x) for x in f][::20]
        for line in lines:
            path = self.file("s.json", line["schema"])
            for text, status in [(t, 0) for t in line["valid"][:2]] + \
                    [(t, 1) for t in line["invalid"][:3]]:
                with self.subTest(line["name"], text=text):
                    r = self.check("--json-schema", path, text)
                    self.assertEqual((r.status, r.err), (status, b""), r)

    def test_gbnf(self):
        path = self.file("g.gbnf", 'root ::= "yes" | "no" [!?]{1,2}')
        for text, status in [("yes", 0), ("no?!", 0), ("no", 1), ("yes\n", 1), ("", 1)]:
            r = self.check("--grammar", path, text)
            self.assertEqual((r.status, r.err), (status, b""), r)

    def test_at_fault(self):
        cases = [
            ("--json-schema", {"properties": {"a/b": {"uniqueItems": True}}},
             ["#/properties/a~1b", "uniqueItems"]),
            ("--json-schema", {"type": "text"}, ["type"]),
            ("--json-schema", "{", ["schema"]),
            ("--json-schema", False, ["no value"]),
            ("--grammar", 'root ::= x\nx ::= "a" | ', None),
            ("--grammar", 'root ::= "a" nothing', ["undefined rule nothing", "line 1"]),
            ("--grammar", 'root ::= root "a"', ["left recursion"]),
        ]
        for option, content, words in cases:
            with self.subTest(content=content):
                r = self.check(option, self.file("f", content), "x")
                if words is None:
                    self.assertEqual(r.status, 1, r)
                    continue
                self.assertEqual(r.status, 2, r)
                self.assertEqual(r.err.count(b"\n"), 1, r)
                self.assertTrue(r.err.startswith(b"slm: "), r)
                for word in words:
                    self.assertIn(word, r.err.decode())

    def test_command_line(self):
        path = self.file("s.json", SCHEMA)
        for args in [["check"], ["check", "--grammar", path, "--json-schema", path], [],
                     ["try", "--grammar", path], ["check", "--grammar", self.dir / "none"]]:
            r = slm("grammar", *args)
            self.assertEqual((r.status, r.err.count(b"\n")), (2, 1), r)

    def test_run(self):
        path = self.file("s.json", SCHEMA)
        grammar = self.file("g.gbnf", 'root ::= "yes" | "no" | "maybe so"')
        for seed in range(1, 5):
            r = slm("run", STORIES, "--raw", "Once", "--json-schema", path, "--seed", seed, "-t", 1)
            self.done(r)
            answer = json.loads(r.out)
            self.assertEqual(list(answer), ["name", "n"])
            self.assertTrue(len(answer["name"]) <= 8 and 1 <= answer["n"] <= 9, r)
            r = slm("run", STORIES, "--raw", "Once", "--grammar", grammar, "--seed", seed, "-t", 1)
            self.done(r)
            self.assertIn(r.out, (b"yes\n", b"no\n", b"maybe so\n"))
        r = slm("run", STORIES, "--raw", "Once", "--grammar", grammar, "--json-schema", path)
        self.assertEqual(r.status, 2, r)
        r = slm("run", STORIES, "--raw", "Once", "--json-schema", self.file("u", {"not": {}}))
        self.assertEqual(r.status, 1, r)
        self.assertIn(b"not", r.err)


if __name__ == "__main__":
    main()
