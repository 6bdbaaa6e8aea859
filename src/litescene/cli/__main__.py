"""`python -m litescene.cli`."""

from litescene.cli.dispatch import main

if __name__ == "__main__":
    main()
