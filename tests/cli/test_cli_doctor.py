"""doctor: recorded trees of several machines, this machine, and models that fit and do not."""

import json
import os
import shutil

from cli_case import ROOT, STORIES, Case, long_stories, main, slm

TREES = ROOT / "tests/data/doctor"
LEVELS = {"ok": 0, "note": 1, "warning": 2, "problem": 3}


class Doctor(Case):
    def json(self, *args, status=0):
        r = slm("doctor", *args, "--json")
        self.assertEqual(r.status, status, r)
        self.assertEqual(r.out.count(b"\n"), 1)
        d = json.loads(r.out)
        self.assertEqual(d["worst"], max((f["severity"] for f in d["findings"]),
                                         key=LEVELS.get, default="ok"))
        for f in d["findings"]:
            self.assertIn(f["severity"], LEVELS)
            self.assertTrue(f["found"], f)
        return d

    def tree(self, name, *args, status=0):
        return self.json("--root", TREES / name, *args, status=status)

    def finds(self, d, severity, *words):
        """There is one finding of this severity with all the words."""
        found = [f for f in d["findings"] if f["severity"] == severity and
                 all(w in f["topic"] + ": " + f["found"] + " | " + f["change"] for w in words)]
        self.assertEqual(len(found), 1, (severity, words, d["findings"]))

    def of_build(self, d):
        """What is found of this program's build, on a tree with a GPU."""
        return [f["found"] for f in d["findings"] if "this build" in f["found"]]

    def test_the_build(self):
        """A build with CUDA says so and whether it can be used here, but not of another machine."""
        here, there = self.json()["gpu"], self.tree("agx-orin-64")
        self.assertIn(here["cuda_in_this_build"], ("yes", "no"))
        self.assertEqual(there["gpu"]["cuda_in_this_build"], here["cuda_in_this_build"])
        has_cuda = here["cuda_in_this_build"] == "yes"
        self.assertEqual("cuda_usable" in here, has_cuda)
        self.assertNotIn("cuda_usable", there["gpu"])
        self.assertEqual(len(self.of_build(there)), 0 if has_cuda else 1)
        if has_cuda and here["cuda_usable"] == "yes":
            self.finds(self.json(), "ok", "gpu: models can run on it")
        elif has_cuda:
            self.finds(self.json(), "warning", "gpu: cannot use", "docs/ORIN.md")

    def lacks(self, d, *words):
        for f in d["findings"]:
            for w in words:
                self.assertNotIn(w, f["found"], f)

    def test_every_tree_as_text(self):
        for tree in sorted(p.name for p in TREES.iterdir()):
            r = slm("doctor", "--root", TREES / tree)
            self.done(r)
            text = r.out.decode()
            self.assertIn("\nfindings\n", text)
            order = [x.split()[0] for x in text.split("\nfindings\n")[1].splitlines()
                     if not x.startswith("           ")]
            self.assertEqual(order, sorted(order, key=LEVELS.get, reverse=True), tree)
            for line in text.splitlines():
                self.assertEqual(line, line.rstrip())

    def test_orin_nano(self):
        d = self.tree("orin-nano-8")
        self.assertEqual(d["system"]["machine"],
                         "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super")
        self.assertEqual(d["cpu"]["model"], "Cortex-A78AE")
        self.assertEqual(d["cpu"]["levels"], "portable neon dotprod")
        self.assertEqual((d["cpu"]["cores"], d["cpu"]["efficiency_cores"]), (6, 0))
        self.assertEqual((d["cpu"]["max_mhz"], d["cpu"]["cap_mhz"]), (1728, 1344))
        self.assertEqual(d["memory"]["total_bytes"], 7802876 * 1024)
        self.assertEqual(d["memory"]["swap_on"], "zram")
        gpu = d["gpu"]
        self.assertEqual(
            (gpu["module"], gpu["profile"], gpu["power_mode"], gpu["l4t"], gpu["jetpack"]),
            ("orin-nano-8", "orin-nano-8:25w", "25W", "36.4.7", "6"))
        self.assertEqual((gpu["driver"], gpu["sm"], gpu["mhz"], gpu["max_mhz"], gpu["dram_gbps"]),
                         ("540.4.0", 8, 306, 918, 102.4))
        self.finds(d, "ok", "power mode: 25W: 8 SM at 918 MHz")
        self.finds(d, "warning", "swap: swap is in memory (zram)", "nvzramconfig")
        self.finds(d, "warning", "0.5 GiB are swapped out")
        self.finds(d, "warning", "memory: 1.5 of 7.4 GiB")
        self.finds(d, "warning", "36.4.7 refuses large allocations")
        self.finds(d, "warning", "on average 4 times")
        self.finds(d, "warning", "for a moment 21 times")
        self.finds(d, "note", "a desktop is running (Xorg)", "multi-user.target")
        self.finds(d, "note", "clock follows the load (306 to 918 MHz)", "jetson_clocks")
        self.finds(d, "note", "memory's clock cannot be read", "sudo")
        self.finds(d, "note", "driver 540.4.0", "CUDA 13")
        self.finds(d, "note", "policy0 is held at 1344 of 1728 MHz", "nvpmodel")
        if gpu["cuda_in_this_build"] == "no":
            self.finds(d, "note", "this build has no CUDA")
        self.lacks(d, "voltage was too low", "degrees", "device file")

    def test_orin_nx_in_its_low_mode(self):
        d = self.tree("orin-nx-16-15w")
        gpu = d["gpu"]
        self.assertEqual((gpu["profile"], gpu["sm"], gpu["emc_mhz"], gpu["l4t"]),
                         ("orin-nx-16:15w", 4, 3199, "36.3.0"))
        self.assertEqual(d["memory"]["group_limit_bytes"], 8 << 30)
        self.assertEqual(d["memory"]["huge_pages"], "never")
        self.finds(d, "warning", "15W leaves 4 SM at 612 MHz", "42 bytes a clock", "nvpmodel")
        self.finds(d, "warning", "tj-thermal is at 96 degrees; at 99")
        self.finds(d, "warning", "cpu-thermal")
        self.finds(d, "warning", "gpu-thermal is at 95")
        self.finds(d, "note", "control group may use 8.0 of 15.3 GiB")
        self.finds(d, "note", "huge pages are switched off", "madvise")
        self.finds(d, "note", "4 of 8 processors are switched off", "nvpmodel")
        self.finds(d, "ok", "memory: 8.0 of 8.0 GiB")
        self.lacks(d, "desktop", "zram", "36.4.7", "follows the load", "without root", "is at 3199")

    def test_agx_in_order(self):
        d = self.tree("agx-orin-64")
        self.assertEqual((d["gpu"]["profile"], d["gpu"]["sm"], d["gpu"]["jetpack"]),
                         ("agx-orin-64:maxn", 16, "7"))
        self.assertEqual((d["gpu"]["driver"], d["gpu"]["nvidia_device"]), ("595.78", "yes"))
        self.assertEqual([f["found"] for f in d["findings"] if f["severity"] != "ok"],
                         self.of_build(d))
        self.finds(d, "ok", "16 SM at 1300 MHz can keep up")

    def test_laptop(self):
        d = self.tree("x86-hybrid-laptop")
        self.assertEqual(d["cpu"]["level"], "avxvnni")
        self.assertEqual((d["cpu"]["processors"], d["cpu"]["cores"], d["cpu"]["efficiency_cores"]),
                         (20, 14, 8))
        self.finds(d, "note", "8 of 14 cores are small ones", "other 6")
        self.finds(d, "note", "held at 3000 of 4700 MHz", "cpupower")
        self.finds(d, "note", "lowered for heat 1842 times")
        self.finds(d, "note", "on its battery")
        self.finds(d, "warning", "3.0 GiB are swapped out")
        self.finds(d, "note", "driver 550.120", "580")
        self.lacks(d, "powersave", "nvpmodel", "zram", "memory's clock")

    def test_raspberry_pi(self):
        d = self.tree("raspberry-pi-5")
        self.assertEqual((d["cpu"]["model"], d["cpu"]["level"]), ("Cortex-A76", "dotprod"))
        self.assertEqual(set(d["gpu"]), {"nvidia_device", "cuda_in_this_build"})
        self.assertEqual(d["gpu"]["nvidia_device"], "no")
        self.finds(d, "warning", "powersave keeps the clocks")
        self.finds(d, "warning", "voltage is too low")
        self.lacks(d, "CUDA", "huge pages", "degrees")

    def change(self, tree, **files):
        """A copy of a tree with files written anew; __ stands for a slash."""
        root = self.dir / "root"
        shutil.copytree(TREES / tree, root)
        for name, text in files.items():
            (root / name.replace("__", "/")).write_text(text)
        return root

    def test_a_mode_with_fewer_processors_than_it_should_have(self):
        root = self.change("agx-orin-64")
        (root / "sys/devices/platform/gpu.0/tpc_pg_mask").write_text("0xf0\n")
        (root / "sys/class/devfreq/17000000.gpu/max_freq").write_text("816000000\n")
        (root / "sys/kernel/debug/bpmp/debug/clk/emc/rate").write_text("2133000000\n")
        shutil.rmtree(root / "dev")
        d = self.json("--root", root)
        self.assertEqual(d["gpu"]["sm"], 8)
        self.finds(d, "warning", "8 SM are on, the power mode gives 16")
        self.finds(d, "warning", "may reach 816 MHz only, its power mode 1300")
        self.finds(d, "note", "memory is at 2133 of 3200 MHz")
        self.finds(d, "warning", "no device file")

    def test_files_that_make_no_sense(self):
        root = self.change("orin-nano-8", proc__meminfo="MemTotal: x\n", proc__cpuinfo="\x00\xff\n",
                           var__lib__nvpmodel__status="pmode:99", etc__nv_tegra_release="# R",
                           sys__devices__system__cpu__online="7-3,,x", proc__swaps="\x1b[31m")
        d = self.json("--root", root)
        self.finds(d, "note", "the power mode cannot be read")
        self.assertNotIn(b"\x1b", slm("doctor", "--root", root).out)
        for path in root.rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
        self.json("--root", root)
        shutil.rmtree(root / "sys")
        self.json("--root", root)

    def test_old_processors_and_systems(self):
        root = self.change("x86-hybrid-laptop",
                           proc__cpuinfo="model name : old\nflags : sse2 ssse3 avx\n")
        self.finds(self.json("--root", root), "warning", "lacks AVX2, FMA or F16C")
        shutil.rmtree(root)
        root = self.change("orin-nano-8", etc__nv_tegra_release="# R35 (release), REVISION: 5.0, x")
        self.finds(self.json("--root", root), "warning", "L4T 35", "JetPack 6 or 7")

    def test_this_machine(self):
        d = self.json()
        self.assertEqual(d["cpu"]["processors"], os.sysconf("SC_NPROCESSORS_ONLN"))
        self.assertLessEqual(d["memory"]["available_bytes"], d["memory"]["total_bytes"])
        r = slm("doctor")
        self.done(r)
        for line in ("cpu\n", "memory\n", "\nfindings\n", "  level                    "):
            self.assertIn(line, r.out.decode())

    def test_a_model(self):
        d = self.tree("agx-orin-64", STORIES)
        self.assertEqual((d["model"]["architecture"], d["model"]["load"]), ("llama", "pack"))
        self.finds(d, "ok", "model: it takes 0.00 of 57.34 GiB")
        root = self.change("raspberry-pi-5", proc__meminfo="MemTotal: 200000 kB\nMemAvailable: "
                           "20000 kB\n")
        d = self.json("--root", root, STORIES)
        self.assertEqual(d["model"]["load"], "map")
        self.finds(d, "note", "does not suffice to pack")
        d = self.json("--root", root, STORIES, "--load", "read")
        self.assertEqual(d["model"]["load"], "read")
        self.lacks(d, "does not suffice")
        model = self.file("m.gguf", STORIES.read_bytes())
        self.file("m.gguf.packed", b"anything")
        d = self.json("--root", root, model)
        self.assertEqual(d["model"]["load"], "map, of the weights that were packed before")
        self.assertEqual(self.tree("agx-orin-64", model)["model"]["load"], "pack")
        (root / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 900 kB\n")
        d = self.json("--root", root, STORIES, "-c", "16")
        self.finds(d, "problem", "read from the disk")
        (root / "proc/meminfo").write_text("MemTotal: 4000 kB\nMemAvailable: 900 kB\n")
        d = self.json("--root", root, STORIES, "-c", "16")
        self.finds(d, "warning", "are available now")

    def test_a_model_that_cannot_run(self):
        model = self.file("m.gguf", long_stories())
        root = self.change("raspberry-pi-5", proc__meminfo="MemTotal: 90000 kB\nMemAvailable: "
                           "50000 kB\n")
        r = slm("doctor", "--root", root, model, "-c", "131072", "--json")
        self.assertEqual(r.status, 1, r)
        self.assertRegex(r.err.decode(), r"^slm: .*m\.gguf: keys, values and scratch take .*\n$")
        d = json.loads(r.out)
        self.finds(d, "problem", "keys, values and scratch", "-c")
        d = self.tree("raspberry-pi-5", self.file("bad.gguf", b"GGUF"), status=1)
        self.finds(d, "problem", "it cannot be opened")
        d = self.tree("raspberry-pi-5", STORIES, "-c", "1000000", status=1)
        self.finds(d, "problem", "it cannot be opened")

    def test_wrong_command_lines(self):
        self.fails(slm("doctor", "--root", self.dir), 1, "--root", "proc")
        self.fails(slm("doctor", "--root"), 2)
        self.fails(slm("doctor", "a.gguf", "b.gguf"), 2)
        self.fails(slm("doctor", "--nothing"), 2)


if __name__ == "__main__":
    main()
