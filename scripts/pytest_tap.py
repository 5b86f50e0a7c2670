# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes pytest print TAP; run-pytest loads it.  Debian 12 has no package
that does.  A case's failure is in the comment lines that follow it."""

import os

import pytest

# The standard output of run-pytest; pytest's own report goes nowhere.
OUT = os.fdopen(3, 'w')
os.set_inheritable(3, False)


class Tap:
    """Prints each case as soon as its outcome is known."""

    def __init__(self):
        self.number = 0

    def say(self, text):
        print(text, file=OUT, flush=True)

    def comment(self, text):
        for line in text.rstrip().splitlines():
            self.say(f'# {line}')

    def pytest_collectreport(self, report):
        if report.failed:
            self.line('not ok', report.nodeid or 'collection')
            self.comment(report.longreprtext)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split('::', 1)[-1]
        if report.failed:
            if report.when == 'teardown':
                name += ' (teardown)'
            self.line('not ok', name)
            self.comment(report.longreprtext)
            for title, text in report.sections:
                self.comment(f'--- {title}\n{text}')
        elif report.skipped:
            reason = (report.longrepr[2] if isinstance(report.longrepr, tuple)
                      else str(report.longrepr))
            self.line('ok', name, ' # SKIP ' + reason.replace('Skipped: ', ''))
        elif report.when == 'call':
            self.line('ok', name)
            for what, text in report.user_properties:
                self.comment(f'{what}: {text}')

    def line(self, outcome, name, extra=''):
        self.number += 1
        name = name.replace('#', '-')
        self.say(f'{outcome} {self.number} {name}{extra}')

    def pytest_sessionfinish(self):
        self.say(f'1..{self.number}')


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.register(Tap())
