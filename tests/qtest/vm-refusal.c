/*
 * VMs that do not start, and devices that cannot be plugged
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "vm-refusal.h"

/* Cuts the line that AddressSanitizer writes at each start of a program */
static void cut_sanitizer_notice(char *text)
{
    char *end = strchr(text, '\n');

    if (g_str_has_prefix(text, "==") && end) {
        memmove(text, end + 1, strlen(end + 1) + 1);
    }
}

void assert_start_refused(const char *cmdline, const char *message)
{
    const char *qemu = getenv("QTEST_QEMU_BINARY");
    /* a VM that starts though it should not finds somebody who quits it */
    g_autofree char *shell = g_strdup_printf(
        "echo quit | %s -accel qtest -display none -nodefaults -S "
        "-monitor stdio %s", qemu, cmdline);
    const char *argv[] = { "/bin/sh", "-c", shell, NULL };
    g_autofree char *name = g_path_get_basename(qemu);
    g_autofree char *want = g_strdup_printf("%s: %s\n", name, message);
    g_autofree char *got = NULL;
    g_autoptr(GError) err = NULL;
    int status;

    g_test_message("%s", cmdline);
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                 NULL, NULL, &got, &status, &err);
    g_assert_no_error(err);
    cut_sanitizer_notice(got);
    g_assert_cmpstr(got, ==, want);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
}

void assert_device_refused(const char *cmdline, const char *error)
{
    g_autofree char *message = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) err = NULL;
    int i;

    g_shell_parse_argv(cmdline, &i, &argv, &err);
    g_assert_no_error(err);
    while (strcmp(argv[i - 2], "-device")) {
        i--;
    }
    message = g_strdup_printf("-device %s: %s", argv[i - 1], error);
    assert_start_refused(cmdline, message);
}

/* Returns: device_add's answer, which the caller unrefs */
static QDict *plug(QTestState *qts, const char *device)
{
    QDict *args = qobject_to(QDict, qobject_from_json(device, &error_abort));

    return qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': %p }",
                     args);
}

static char *id_of(const char *device)
{
    QDict *args = qobject_to(QDict, qobject_from_json(device, &error_abort));
    char *id = g_strdup(qdict_get_str(args, "id"));

    qobject_unref(args);
    return id;
}

void assert_hotplug_refused(QTestState *qts, const char *device,
                            const char *error)
{
    g_autofree char *id = id_of(device);
    QDict *rsp = plug(qts, device);
    QDict *err = qdict_get_qdict(rsp, "error");

    g_assert_cmpstr(err ? qdict_get_str(err, "desc") : NULL, ==, error);
    g_assert_false(is_plugged(qts, id));
    qobject_unref(rsp);
}

void assert_hotplug(QTestState *qts, const char *device)
{
    g_autofree char *id = id_of(device);
    QDict *rsp = plug(qts, device);
    QDict *err = qdict_get_qdict(rsp, "error");

    g_assert_cmpstr(err ? qdict_get_str(err, "desc") : NULL, ==, NULL);
    g_assert_true(is_plugged(qts, id));
    qobject_unref(rsp);
}

bool is_plugged(QTestState *qts, const char *id)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-list', 'arguments': {"
                                " 'path': '/machine/peripheral' } }");
    bool found = false;
    QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *child = qobject_to(QDict, qlist_entry_obj(e));

        found |= !strcmp(qdict_get_str(child, "name"), id);
    }
    qobject_unref(rsp);
    return found;
}
