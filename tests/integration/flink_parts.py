"""The parts of a standalone Flink cluster and their commands: Flink's own scripts need a whole distribution."""
from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Mapping

from pipeline.local.servers import LOOPBACK
from tests.integration.external_servers import BESIDE, ROOT, TOOLS

LIBRARIES = TOOLS / 'flink/pyflink/lib'
JOB_SERVER = TOOLS / 'flink-job-server.jar'
FLINK_VERSION = '1.19'
JOB_MANAGER, TASK_MANAGER, POOL = 'jobmanager', 'taskmanager', 'pool'
MAIN = {JOB_MANAGER: 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint',
        TASK_MANAGER: 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner'}
HEAP = {JOB_MANAGER: ['-Xmx512m'], TASK_MANAGER: ['-Xmx768m', '-XX:MaxDirectMemorySize=256m']}
#: Flink 1.19 reaches into these packages of Java 17.
OPENED = [f'--add-opens=java.base/{name}=ALL-UNNAMED' for name in (
    'java.lang', 'java.net', 'java.io', 'java.nio', 'sun.nio.ch', 'java.lang.reflect', 'java.text', 'java.time',
    'java.util', 'java.util.concurrent', 'java.util.concurrent.atomic', 'java.util.concurrent.locks')]
CONFIG = {
    'jobmanager.bind-host': LOOPBACK, 'jobmanager.rpc.address': LOOPBACK, 'jobmanager.memory.process.size': '1200m',
    'rest.address': LOOPBACK, 'rest.bind-address': LOOPBACK,
    'taskmanager.bind-host': LOOPBACK, 'taskmanager.host': LOOPBACK, 'taskmanager.cpu.cores': '2.0',
    # A TaskManager that is started without Flink's scripts needs all of these.
    'taskmanager.memory.framework.heap.size': '128m', 'taskmanager.memory.task.heap.size': '512m',
    'taskmanager.memory.framework.off-heap.size': '128m', 'taskmanager.memory.task.off-heap.size': '64m',
    'taskmanager.memory.network.min': '64m', 'taskmanager.memory.network.max': '64m',
    'taskmanager.memory.managed.size': '128m', 'taskmanager.memory.jvm-metaspace.size': '512m',
    'taskmanager.memory.jvm-overhead.min': '192m', 'taskmanager.memory.jvm-overhead.max': '192m',
    # A dead TaskManager is noticed after 10 s, and a job may fail often in a test.
    'heartbeat.interval': '2000', 'heartbeat.timeout': '10000',
    'restart-strategy.type': 'fixed-delay', 'restart-strategy.fixed-delay.attempts': '1000',
    'restart-strategy.fixed-delay.delay': '1 s'}
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


def write_config(folder: pathlib.Path, settings: Mapping[str, object]) -> None:
    """Write the configuration of a cluster below `folder`; `settings` are added to CONFIG."""
    for name in ('conf', 'tmp', 'checkpoints', 'savepoints'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    paths = {'io.tmp.dirs': f'{folder}/tmp', 'web.upload.dir': f'{folder}/tmp',
              'state.checkpoints.dir': f'file://{folder}/checkpoints',
              'state.savepoints.dir': f'file://{folder}/savepoints'}
    lines = [f'{name}: {value}\n' for name, value in {**CONFIG, **paths, **settings}.items()]
    (folder / 'conf/config.yaml').write_text(''.join(lines))
    (folder / 'conf/log4j.properties').write_text(LOG4J)


def java_command(name: str, folder: pathlib.Path) -> list[object]:
    """Return the command that starts JOB_MANAGER or TASK_MANAGER of the cluster below `folder`."""
    conf = folder / 'conf'
    return ['java', *HEAP[name], '-XX:MaxMetaspaceSize=512m', '-XX:+UseSerialGC', *OPENED,
            f'-Dlog.file={folder / name}.log', f'-Dlog4j.configurationFile=file:{conf}/log4j.properties',
            '-cp', f'{LIBRARIES}/*', MAIN[name], '--configDir', conf]


def pool_command(port: int, module: str, *args: object) -> tuple[list[object], dict[str, str]]:
    """Return the command and the environment of a worker pool: it starts its workers by the name `python`."""
    return ([sys.executable, '-m', module, port, *args],
            {'PATH': os.pathsep.join([str(BESIDE), os.environ['PATH']]), 'PYTHONPATH': str(ROOT)})
