# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/host-iommu-report: what it makes of hosts of four kinds."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import List

import pytest

from conftest import TOP, Hosts, run
from hosts import HOSTS, make_sysfs

CLIENT = '''
                                        dmar0              dmar1
  kind                                  intel-vtd          intel-vtd
  devices                               1                  1
  CAP                                   0x1c0000c40660462  0xd2008c40660462
  ECAP                                  0x19e2ff0505e      0xf050da
  MGAW                                  39                 39
  SAGAW                                 48                 48
  address width                         39                 39
  snoop control                         no                 yes
  scalable mode (x-flts=on)             no                 no
  first-stage translation (x-flts=on)   no                 no
  second-stage translation (x-flts=on)  no                 no
  nested translation (x-flts=on)        yes                no
  1 GiB first-stage pages (x-flts=on)   yes                no
  device TLBs (x-flts=on)               yes                no
  supervisor requests (x-flts=on)       no                 no
  PASIDs (x-flts=on)                    yes                no
  PASID width (x-flts=on)               20                 1
  intel-iommu adopts 39 bits, for devices of every unit

Good for this host:
  -device intel-iommu,caching-mode=on,aw-bits=39
  <iommu model='intel'><driver caching_mode='on' aw_bits='39'/></iommu>
'''


def test_a_whole_report(hosts: Hosts) -> None:
    """All that a desktop's two units are, and what to do with them."""
    outcome = run('--sysfs', hosts.sysfs('client'))
    assert outcome.output.partition('\n')[2] == CLIENT[1:]
    assert outcome.status == 0


@pytest.mark.parametrize('name, adopted', [
    ('client', 'intel-iommu adopts 39 bits, for devices of every unit'),
    ('server', 'intel-iommu adopts 48 bits, for devices of every unit'),
    ('scalable', 'intel-iommu adopts 47 bits, for devices of every unit'),
    ('amd', 'sysfs does not tell the width here; intel-iommu learns it from '
     'an assigned device'),
])
def test_what_is_adopted(hosts: Hosts, name: str, adopted: str) -> None:
    """The width, on each kind of host."""
    assert f'  {adopted}\n' in run('--sysfs', hosts.sysfs(name)).output


def test_units_that_are_alike_share_a_column(hosts: Hosts) -> None:
    """In the order of their numbers."""
    output = run('--sysfs', hosts.sysfs('server')).output
    assert ' dmar0 dmar1 dmar2 dmar10\n' in output
    assert re.search('^  devices +4$', output, re.M)


@pytest.mark.parametrize('names, width', [
    (['client'], 39), (['server'], 48), (['scalable'], 47),
    (['server', 'client'], 39), (['client', 'server'], 39),
    (['server', 'scalable'], 47), (['client', 'server', 'scalable'], 39),
    (['amd', 'server'], 48),
])
def test_what_is_good_for_all(hosts: Hosts, names: List[str],
                              width: int) -> None:
    """The narrowest host decides, whatever the order; both ways to say it
    agree."""
    outcome = run(*map(hosts.saved, names))
    assert outcome.output.partition('\nGood for ')[2].splitlines()[1:3] == [
        f'  -device intel-iommu,caching-mode=on,aw-bits={width}',
        "  <iommu model='intel'><driver caching_mode='on' "
        f"aw_bits='{width}'/></iommu>"]
    assert outcome.status == 0


def test_a_width_that_nobody_knows_is_told(hosts: Hosts) -> None:
    """Nothing is guessed: what is good is so as far as is known."""
    output = run(hosts.saved('amd'), hosts.saved('client')).output
    assert '\nAs far as is known: sysfs does not tell the width of ivhd0 of '\
        in output
    alone = run(hosts.saved('amd')).output
    assert '-device intel-iommu,caching-mode=on\n' in alone


def test_saved_it_reads_as_the_host_itself(hosts: Hosts) -> None:
    """A report of a saved report says the same."""
    for name in HOSTS:
        assert (run(hosts.saved(name)) == run('--sysfs', hosts.sysfs(name)))


def test_registers_that_cannot_be_read(hosts: Hosts) -> None:
    """Such a unit is unknown, and says so when it is saved too."""
    sysfs = hosts.sysfs('client')
    (sysfs / 'class/iommu/dmar1/intel-iommu/ecap').write_text('0xf050da\n')
    output = run('--sysfs', sysfs).output
    assert re.search('^  kind +intel-vtd +unknown$', output, re.M)
    assert run(hosts.saved('client')).output == output


def test_too_narrow_for_any_intel_iommu(tmp_path: Path) -> None:
    """36 bits: no options are shown, and the status tells."""
    sysfs = make_sysfs(tmp_path / 'sys', {'dmar0': ('230462', 'f050da')})
    outcome = run('--sysfs', sysfs)
    assert outcome.output.splitlines()[-3:] == [
        '  too narrow: 36 bits, intel-iommu needs 39', '',
        'No intel-iommu with an assigned device is good for this host.']
    assert outcome.status == 1


def test_no_iommu(tmp_path: Path) -> None:
    """What may be wrong is told."""
    outcome = run('--sysfs', make_sysfs(tmp_path / 'sys', {}))
    assert 'no IOMMU: is it on in the firmware' in outcome.output
    assert outcome.status == 1


@pytest.mark.parametrize('cap, ecap, width', [
    (39, 0b100, 39), (48, 0b010, 39), (42, 0b100, 42), (57, 0b1110, 57),
    (64, 0b100, 48),
])
def test_width(program: ModuleType, cap: int, ecap: int,
               width: int) -> None:
    """The lesser of MGAW and the widest table."""
    unit = program.Unit('dmar0', 'intel-vtd', (cap - 1) << 16 | ecap << 8, 0)
    assert unit.width() == width


@pytest.mark.parametrize('mgaw, sagaw, width', [
    (57, 0b1110, 47), (48, 0b100, 47), (39, 0b100, 39), (57, 0, 47),
])
def test_width_of_the_first_stage(program: ModuleType, mgaw: int, sagaw: int,
                                  width: int) -> None:
    """47 at most, as newer kernels use it."""
    unit = program.Unit('dmar0', 'intel-vtd', (mgaw - 1) << 16 | sagaw << 8,
                        1 << 43 | 1 << 47)
    assert unit.width() == width


@pytest.mark.parametrize('text, reason', [
    ('', 'is not what host-iommu-report --json prints'),
    ('{"format": 1}', 'is not what host-iommu-report --json prints'),
    ('[1]', 'is not what host-iommu-report --json prints'),
    ('{"format": 2}', 'a report of format 2, this program knows 1'),
])
def test_what_is_no_report(tmp_path: Path, text: str, reason: str) -> None:
    """One line says so."""
    path = tmp_path / 'report.json'
    path.write_text(text)
    outcome = run(path)
    assert outcome.errors.startswith(f'host-iommu-report: {path}')
    assert outcome.errors.endswith(f'{reason}\n')
    assert outcome.status == 2


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    """As any program says it."""
    assert run(tmp_path / 'none').errors == (
        f'host-iommu-report: {tmp_path}/none: No such file or directory\n')


def test_json_is_of_registers(hosts: Hosts) -> None:
    """What is saved is what was read, not what was made of it."""
    assert json.loads(hosts.saved('scalable').read_text())['units'] == [
        {'name': 'dmar0', 'kind': 'intel-vtd', 'cap': '0x19ed008c40780c66',
         'ecap': '0x3ef9ea6f050df', 'devices': ['0000:00:02.0']}]


# --- QEMU's table

def test_every_row_of_qemu_s_table(program: ModuleType) -> None:
    """Each field that QEMU checks is reported, in QEMU's words; where the
    bits are, test_qemu.py asks QEMU."""
    source = (TOP / 'hw/i386/intel_iommu_host_caps.c').read_text()
    rows = re.findall(r'\{ "([^"]+)", "([^"]+)",[^}]*?(ALWAYS|STAGE_1)',
                      re.search(r'vtd_host_fields\[\] = \{(.*?)\n\};', source,
                                re.S)[1])
    assert rows == [('address-width', 'address width', 'ALWAYS'),
                    *((field.name, field.text,
                       'STAGE_1' if field.stage_1 else 'ALWAYS')
                      for field in program.FIELDS)]


def test_alone_it_says_the_same(hosts: Hosts, tmp_path: Path) -> None:
    """A copy goes where there is no checkout."""
    copy = tmp_path / 'host-iommu-report'
    copy.write_text((TOP / 'scripts/host-iommu-report').read_text())
    for name in HOSTS:
        sysfs = hosts.sysfs(name)
        assert (run('--sysfs', sysfs, program=copy) ==
                run('--sysfs', sysfs))
