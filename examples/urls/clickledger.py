"""Makes and checks the URLs of clickledger without a database. Only the standard library is needed. docs/url-format.md explains the format.

    python3 clickledger.py VECTORS.json     checks this file against docs/url-format.vectors.json
"""

import hashlib
import json
import re
import sys

TAG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SQIDS_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MIN_SQID_LENGTH = 15
MAX_SLUG_LENGTH = 40
MAX_NUMBER = 2**53 - 1
BLOCKED = re.compile(
    "anal|anus|arse|bitch|cock|cunt|dick|fuck|hitler|jizz|kike|nazi|nigga|nigger|penis|piss|porn|puta|rape|shit|slut|tits|twat|whore",
    re.IGNORECASE,
)


def shuffle(alphabet):
    """The shuffle of the Sqids specification."""
    chars = list(alphabet)
    last = len(chars) - 1
    for i in range(last):
        j = last - i
        r = (i * j + ord(chars[i]) + ord(chars[j])) % len(chars)
        chars[i], chars[r] = chars[r], chars[i]
    return "".join(chars)


SHUFFLED = shuffle(SQIDS_ALPHABET)


def encode_sqid(numbers):
    """Encodes three numbers as Sqids with at least 15 characters and without blocked words."""
    start = len(numbers) + sum(ord(SHUFFLED[number % 62]) + i for i, number in enumerate(numbers))
    for increment in range(63):
        offset = (start + increment) % 62
        alphabet = (SHUFFLED[offset:] + SHUFFLED[:offset])[::-1]
        sqid = SHUFFLED[offset]
        for i, number in enumerate(numbers):
            digits = ""
            while digits == "" or number > 0:
                digits = alphabet[1 + number % 61] + digits
                number //= 61
            sqid += digits
            if i < len(numbers) - 1:
                sqid += alphabet[0]
                alphabet = shuffle(alphabet)
        if len(sqid) < MIN_SQID_LENGTH:
            sqid += alphabet[0]
            alphabet = shuffle(alphabet)
            sqid += alphabet[: MIN_SQID_LENGTH - len(sqid)]
        if not BLOCKED.search(sqid):
            return sqid
    raise ValueError("these numbers have no encoding without a blocked word")


def decode_sqid(sqid):
    """Returns three numbers, or None if the text is no such encoding."""
    offset = SHUFFLED.find(sqid[:1]) if sqid else -1
    if offset < 0:
        return None
    alphabet = (SHUFFLED[offset:] + SHUFFLED[:offset])[::-1]
    numbers, rest = [], sqid[1:]
    while len(numbers) < 3:
        digits, separator, rest = rest.partition(alphabet[0])
        if digits == "" or any(digit not in alphabet for digit in digits):
            return None
        number = 0
        for digit in digits:
            number = number * 61 + alphabet.index(digit) - 1
        if number > MAX_NUMBER:
            return None
        numbers.append(number)
        alphabet = shuffle(alphabet)
        if separator == "":
            break
    # What follows the third number is padding. It begins with the first character of the next alphabet.
    is_padded = rest == "" or rest[0] == alphabet[0]
    return tuple(numbers) if len(numbers) == 3 and is_padded else None


def tag_of(link, recipient):
    """The first two characters of a slug. They decide the shard: all slugs of a recipient have the same tag."""
    number = recipient if recipient != 0 else link
    h = (number & 0xFFFFFFFF) ^ (((number >> 32) * 0x9E3779B1) & 0xFFFFFFFF)
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    h = (h ^ (h >> 16)) % (62 * 62)
    return TAG_ALPHABET[h // 62] + TAG_ALPHABET[h % 62]


def check_of(key, link, recipient):
    """The first 40 bits of SHA-256 over the key and both numbers."""
    if not re.fullmatch("[0-9a-fA-F]{64}", key):
        raise ValueError("a key has 64 hex digits; SLUG_KEYS may have several keys, separated by commas")
    message = bytes.fromhex(key) + link.to_bytes(8, "big") + recipient.to_bytes(8, "big")
    return int(hashlib.sha256(message).hexdigest()[:10], 16)


def encode(key, link, recipient=0):
    """Returns the slug of a link and a recipient. Recipient 0 means a link that all people share. `key` has 64 hex digits."""
    if not (1 <= link <= MAX_NUMBER and 0 <= recipient <= MAX_NUMBER):
        raise ValueError("a link is a whole number from 1, a recipient a whole number from 0")
    return tag_of(link, recipient) + encode_sqid((check_of(key, link, recipient), link, recipient))


def verify(keys, slug):
    """Returns (link, recipient) if one of the keys signed the slug, otherwise None."""
    if not re.fullmatch("[0-9A-Za-z]{5,%d}" % MAX_SLUG_LENGTH, slug):
        return None
    numbers = decode_sqid(slug[2:])
    if numbers is None:
        return None
    check, link, recipient = numbers
    if link == 0 or not slug.startswith(tag_of(link, recipient)):
        return None
    return (link, recipient) if any(check_of(key, link, recipient) == check for key in keys) else None


def is_alias(name):
    return re.fullmatch("[0-9A-Za-z][0-9A-Za-z_-]{0,63}", name) is not None and re.search("[-_]", name) is not None


def shard_of(shards, tag):
    """Returns the name of the shard of a tag. `shards` is a list of names and first tags."""
    return [name for name, first in shards if first <= tag][-1]


def urls(base_url, key, link, recipient=0):
    """Returns the URLs of the three kinds of links. Which of them works depends on the kind of the link."""
    slug, base_url = encode(key, link, recipient), base_url.rstrip("/")
    return {"click": f"{base_url}/u/{slug}", "pixel": f"{base_url}/r/{slug}.gif", "unsubscribe": f"{base_url}/o/{slug}"}


def main(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    keys, count = vectors["keys"], 0

    def expect(what, found, wanted):
        nonlocal count
        count += 1
        if found != wanted:
            sys.exit(f"{what}: {found!r} instead of {wanted!r}")

    for key, link, recipient, slug, shard in vectors["slugs"]:
        expect(f"slug of {link}, {recipient}", encode(keys[key], link, recipient), slug)
        expect(f"numbers of {slug}", verify(keys, slug), (link, recipient))
        expect(f"shard of {slug}", shard_of(vectors["shards"], slug[:2]), shard)
    for slug, link, recipient in vectors["other_spellings"]:
        expect(f"numbers of {slug}", verify(keys, slug), (link, recipient))
    for slug in vectors["refused"]:
        expect(f"numbers of {slug}", verify(keys, slug), None)
    for name, valid in vectors["aliases"]:
        expect(f"alias {name}", is_alias(name), valid)
    for key, link, recipient, wanted in vectors["urls"]:
        expect(f"URLs of {link}, {recipient}", urls(vectors["base_url"], keys[key], link, recipient), wanted)
    print(f"{count} vectors are right")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
