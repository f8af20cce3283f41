"""``python -m bench3dmm``"""

from bench3dmm.cli import main

main()
