# SPDX-License-Identifier: GPL-2.0-or-later
"""
A QEMU whose instructions callgrind counts, and that qtest drives.

    with CountedQEMU(binary, options, collect='vtd_iommu_translate') as qemu:
        ...
        qemu.cut()
        ...
        qemu.cut()
    _, second = qemu.counts

Counts are of what the function @collect and what it calls do, or of all. They
do not depend on how fast the machine is, or on what else it does.
"""

import json
import socket
import subprocess
import tempfile
from pathlib import Path

IOMMU = 0xfed90000
FAULT_STATUS = 0x34
SLOT = 3                # of the first device


def functions(device, count):
    """The options for @count of @device in the functions from SLOT on."""
    for i in range(SLOT << 3, (SLOT << 3) + count):
        yield f'{device},addr={i >> 3:x}.{i & 7},multifunction=on'


class CountedQEMU:
    """@binary with @iommu for options of its intel-iommu, and @devices.

    It counts from its start, and anew after each cut; @cut_after is a
    function whose end is a cut too."""

    def __init__(self, binary, iommu, devices=(), collect=None,
                 cut_after=None):
        self._folder = tempfile.TemporaryDirectory()
        self._out = Path(self._folder.name) / 'callgrind.out'
        self._monitor = socket.socket(socket.AF_UNIX)
        monitor = Path(self._folder.name) / 'monitor'
        self._monitor.bind(str(monitor))
        self._monitor.listen(1)
        self._answers = None
        self.counts = []
        how = [f'--toggle-collect={collect}'] if collect else []
        how += [f'--dump-after={cut_after}'] if cut_after else []
        self._process = subprocess.Popen(
            ['valgrind', '--tool=callgrind', '--log-file=/dev/null',
             f'--callgrind-out-file={self._out}',
             '--dump-before=vtd_mem_read', *how,
             str(binary), '-accel', 'qtest', '-machine', 'q35', '-nodefaults',
             '-display', 'none', '-m', '128M', '-qtest', 'stdio',
             '-qtest-log', 'none',
             '-chardev', f'socket,id=monitor,path={monitor}',
             '-mon', 'chardev=monitor,mode=control',
             '-device', f'intel-iommu,{iommu}aw-bits=48',
             *(word for device in devices for word in ('-device', device))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        """End QEMU, and read what callgrind counted in each part."""
        self._process.terminate()
        self._process.communicate()
        self._monitor.close()
        if self._answers:
            self._answers.close()
        if error is None:
            parts = sorted(self._folder_parts(),
                           key=lambda part: int(part.suffix[1:]))
            self.counts = [instructions(part.read_text()) for part in parts]
        self._folder.cleanup()

    def _folder_parts(self):
        return self._out.parent.glob(f'{self._out.name}.*')

    def command(self, *words):
        """What QEMU answers to a qtest command."""
        self._process.stdin.write(' '.join(
            word if isinstance(word, str) else hex(word) for word in words))
        self._process.stdin.write('\n')
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if not answer or answer[0] != 'OK':
            raise RuntimeError(f'{words}: {answer}')
        return answer[1:]

    def monitor(self, execute, **arguments):
        """What QEMU's monitor answers."""
        if not self._answers:
            self._answers = self._monitor.accept()[0].makefile('rw')
            self.monitor('qmp_capabilities')
        json.dump({'execute': execute, 'arguments': arguments}, self._answers)
        self._answers.flush()
        for line in self._answers:
            answer = json.loads(line)
            if 'error' in answer:
                raise RuntimeError(f'{execute}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']
        raise RuntimeError(f'{execute}: no answer')

    def cut(self):
        """Begin a part; what was recorded as a fault before is an error."""
        status = self.command('readl', IOMMU + FAULT_STATUS)[0]
        if int(status, 16):
            raise RuntimeError('intel-iommu recorded a fault')


def instructions(report):
    """What a report of callgrind's has counted."""
    for line in report.splitlines():
        if line.startswith('totals:'):
            return int(line.split()[1])
    raise RuntimeError('callgrind counted nothing')
