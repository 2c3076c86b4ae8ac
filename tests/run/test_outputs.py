from __future__ import annotations

import pathlib

import pytest

from pipeline.errors import RunRefused
from pipeline.options.options import Options
from pipeline.run.outputs import _outer, check_outputs, claim_outputs, outputs_of, store_at
from pipeline.stores.base import FolderStore
from pipeline.stores.s3 import S3Store
from tests.command_lines import options_of


def options(folder: pathlib.Path, output: str = 'lake', **places: str) -> Options:
    return options_of('--output', str(folder / output),
                      *(word for name, place in places.items() for word in (f'--{name}_output', str(folder / place))))


def refusal(told: Options) -> str:
    with pytest.raises(RunRefused) as error:
        check_outputs(told)
    return str(error.value)


@pytest.mark.parametrize(('args', 'region'), [
    (['--s3_region_name', 'eu-west-2'], 'eu-west-2'), ([], 'eu-west-1')])
def test_a_store_has_the_bucket_and_prefix_of_its_uri_and_the_options_of_s3(args: list[str], region: str) -> None:
    options = options_of('--output', 's3://lake', '--aws_region', 'eu-west-1', '--s3_sse', 'aws:kms',
                         '--s3_kms_key_id', 'k', *args)

    assert store_at('s3://lake/a/b', options) == S3Store(
        'lake', 'a/b', endpoint_url=None, region=region, verify=None, sse='aws:kms', kms_key_id='k')


def test_objects_are_in_the_output_but_for_errors_and_backup_that_were_moved(tmp_path: pathlib.Path) -> None:
    lake, moved = (FolderStore(str(tmp_path / name)) for name in ('lake', 'moved'))

    assert outputs_of(options(tmp_path)) == dict.fromkeys(('events', 'errors', 'backup'), lake)
    assert outputs_of(options(tmp_path, errors='moved')) == {'events': lake, 'errors': moved, 'backup': lake}
    assert outputs_of(options(tmp_path, backup='moved')) == {'events': lake, 'errors': lake, 'backup': moved}


def test_an_output_is_tried_and_left_as_it_was(tmp_path: pathlib.Path) -> None:
    check_outputs(options(tmp_path))

    assert list((tmp_path / 'lake').iterdir()) == []


@pytest.mark.parametrize('name', ['errors', 'backup'])
def test_a_place_that_was_moved_belongs_to_one_output(tmp_path: pathlib.Path, name: str) -> None:
    for _ in range(2):
        check_outputs(options(tmp_path, **{name: 'moved'}))
        claim_outputs(options(tmp_path, **{name: 'moved'}))

    assert (tmp_path / 'moved/.written-by').read_text() == f'{tmp_path}/lake\n'
    assert refusal(options(tmp_path, 'other', **{name: 'moved'})) == (
        f'--{name}_output: holds objects of another job under the same keys (.written-by there says whose objects '
        'these are): give a place of its own')
    assert refusal(options(tmp_path, 'moved')).startswith('--output: holds objects of another job')


def test_a_place_is_not_claimed_by_a_run_that_may_still_be_refused(tmp_path: pathlib.Path) -> None:
    check_outputs(options(tmp_path, errors='moved'))

    assert list((tmp_path / 'moved').iterdir()) == []
    check_outputs(options(tmp_path, 'moved'))


def test_of_two_jobs_that_claim_one_place_at_once_the_second_is_refused(tmp_path: pathlib.Path) -> None:
    first, second = options(tmp_path, errors='moved'), options(tmp_path, 'other', errors='moved')
    check_outputs(second)
    claim_outputs(first)

    with pytest.raises(RunRefused, match='^--errors_output: holds objects of another job'):
        claim_outputs(second)


def test_another_jobs_output_is_no_place_for_errors(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/resume.json').touch()

    assert refusal(options(tmp_path, errors='other')) == (
        '--errors_output: holds objects of another job under the same keys (another job has its --output): give a '
        'place of its own')
    assert [file.name for file in (tmp_path / 'other').iterdir()] == ['resume.json']


def test_errors_and_backup_may_share_a_place_or_lie_in_the_output(tmp_path: pathlib.Path) -> None:
    check_outputs(options(tmp_path, errors='moved', backup='moved'))
    (tmp_path / 'lake/resume.json').touch()
    check_outputs(options(tmp_path, errors='lake', backup='moved'))

    assert options(tmp_path, errors='lake', backup='moved').separate_outputs == {'backup': f'{tmp_path}/moved'}


@pytest.mark.parametrize('marker', ['resume.json', '.written-by'])
@pytest.mark.parametrize('folder', ['events/team-b', 'errors/a/b', 'backup/x', 'manifests/x', 'errors/events'])
def test_an_output_inside_another_is_refused_whichever_comes_first(
        tmp_path: pathlib.Path, folder: str, marker: str) -> None:
    (tmp_path / 'lake' / folder).mkdir(parents=True)
    check_outputs(options(tmp_path))
    (tmp_path / 'lake' / folder / marker).touch()
    assert refusal(options(tmp_path)) == (
        f'--output: got {tmp_path}/lake, in whose folders another output lies, {tmp_path}/lake/{folder}: give a place '
        'that holds none')

    (tmp_path / 'lake' / folder / marker).rename(tmp_path / 'lake' / marker)
    for inner in (options(tmp_path, f'lake/{folder}'), options(tmp_path, 'other', errors=f'lake/{folder}/more')):
        assert f'which lies in the folders of the output {tmp_path}/lake: give a place outside of it' in refusal(inner)


@pytest.mark.parametrize(('uri', 'outer'), [
    ('s3://lake/events/a/backup/b', ['s3://lake', 's3://lake/events/a']), ('/events/a', ['/']),
    ('s3://events/lake', []), ('s3://lake/my-events/a', [])])
def test_the_folders_of_objects_in_a_uri_tell_in_which_outputs_it_might_lie(uri: str, outer: list[str]) -> None:
    assert list(_outer(uri)) == outer


def test_outputs_beside_each_other_and_folders_of_objects_are_in_nobodys_way(tmp_path: pathlib.Path) -> None:
    for folder in ('events/year=2026/month=11', 'errors/invalid-json/year=2026', 'team-b'):
        (tmp_path / 'lake' / folder).mkdir(parents=True)
        (tmp_path / 'lake' / folder / 'resume.json').touch()

    check_outputs(options(tmp_path))
    (tmp_path / 'lake/resume.json').touch()
    check_outputs(options(tmp_path, 'lake/team-b'))
    check_outputs(options(tmp_path, 'events/lake'))
