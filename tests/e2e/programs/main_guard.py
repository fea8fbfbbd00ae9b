# Runs as a script does.
def main():
    print("as a script")
    return __name__
if __name__ == "__main__":
    result = main()
