"""`python -m subgroup_audit`: the command `audit` under a name that no system command shares."""

from subgroup_audit.cli import main

if __name__ == "__main__":
    main()
