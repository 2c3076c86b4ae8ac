from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.convention import snake_case
from transforms.rename import rename_fields


@pytest.mark.parametrize(('name', 'expected'), [
    ('event_name', 'event_name'),
    ('a__b', 'a__b'),
    ('_id', '_id'),
    ('_', '_'),
    ('a1', 'a1'),
    ('Event Name', 'event_name'),
    ('eventName', 'event_name'),
    ('SDKVersion', 'sdk_version'),
    ('iOSVersion', 'i_os_version'),
    ('Media Source (pid)', 'media_source_pid'),
    ('AB Test', 'ab_test'),
    ('sub.key', 'sub_key'),
    ('  padded  ', 'padded'),
    ('a  -  b', 'a_b'),
    ('IDFA', 'idfa'),
    ('userID', 'user_id'),
    ('userID2Name', 'user_id2_name'),
    ('utf8Name', 'utf8_name'),
    ('HTTPServer2xx', 'http_server2xx'),
    ('_Id', 'id'),
    ('A__b_', 'a_b'),
    ('event_value_ScreenInfo', 'event_value_screen_info'),
    ('event-time', 'event_time'),
    ('price/€', 'price'),
    ('a\tb\nc', 'a_b_c'),
    ('naïve', 'naïve'),
    ('Größe', 'größe'),
    ('GrößeXL', 'größe_xl'),
    ('E\u0301lanVital', 'e\u0301lan_vital'),
    ('cafe\u0301Noir', 'cafe\u0301_noir'),
    ('제목', '제목'),
    ('화면 이름', '화면_이름'),
    ('画面ID', '画面id'),
    ('ИмяПоля', 'имя_поля'),
    ('ΟΔΟΣ', 'οδος'),
    ('İD', 'i̇d'),
    ('ⅧArmy', 'ⅷ_army'),
    ('Ⓐ', 'field'),
    ('', 'field'),
    ('?!', 'field'),
    (' ', 'field'),
    ('😀', 'field'),
    ('\u200b', 'field'),
    ('-_-', 'field'),
    ('__proto__', '__proto__'),
    ('A_1', 'a_1'),
    ('A__12', 'a_12'),
    ('?_12', '12'),
    ('é__1', 'é__1'),
    ('é_', 'é_'),
    ('É_', 'é'),
    ('_É_1', 'é_1'),
    ("O'Neill", 'o_neill')])
def test_names_by_the_convention(name: str, expected: str) -> None:
    assert unicodedata.normalize('NFD', snake_case(name)) == unicodedata.normalize('NFD', expected)
    assert rename_fields({name: 1}) == {snake_case(name): 1}



@given(st.text())
def test_a_name_by_the_convention_stays_as_it_is(name: str) -> None:
    new = snake_case(name)

    assert new
    assert new == new.lower()
    assert new == snake_case(new)
    assert all(char == '_' or unicodedata.category(char)[0] in 'LMN' for char in new)
