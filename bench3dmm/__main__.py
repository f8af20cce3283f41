"""``python -m bench3dmm``"""

from bench3dmm.cli.app import main

main()
