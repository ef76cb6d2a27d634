"""What people are told, in the languages there are besides English (RFC 6856 section 3).

A row: the English text, and the same in each of LANGUAGES. `{}` stands for anything. A text that
has no row is told in English.
"""

from __future__ import annotations

LANGUAGES = ("de", "fr")

# Each language as its speakers call it, for the listing of LANG.
NAMES = {"en": "English", "de": "Deutsch", "fr": "Français", "i-default": "English"}

TRANSLATIONS: dict[str, tuple[str, str]] = {
    # Success
    "English is spoken now": ("Es wird jetzt Deutsch gesprochen", "Le français est utilisé"),
    "the languages spoken here": (
        "die Sprachen, die hier gesprochen werden",
        "les langues parlées ici",
    ),
    "capabilities": ("Fähigkeiten", "capacités"),
    "mechanisms": ("Anmeldeverfahren", "mécanismes"),
    "now the password": ("jetzt das Passwort", "maintenant le mot de passe"),
    "begin TLS": ("TLS kann beginnen", "TLS peut commencer"),
    "UTF-8 it is": ("UTF-8 ist eingeschaltet", "UTF-8 est activé"),
    "marked": ("vorgemerkt", "marqué"),
    "good-bye": ("auf Wiedersehen", "au revoir"),
    "good-bye, {} messages removed": (
        "auf Wiedersehen, {} Nachrichten gelöscht",
        "au revoir, {} messages supprimés",
    ),
    "{} messages ({} octets)": ("{} Nachrichten ({} Bytes)", "{} messages ({} octets)"),
    "{} messages": ("{} Nachrichten", "{} messages"),
    "{} octets": ("{} Bytes", "{} octets"),
    # Signing in
    "the name or the password is wrong": (
        "Name oder Passwort ist falsch",
        "nom ou mot de passe incorrect",
    ),
    "this account may not use POP3": (
        "dieses Konto darf POP3 nicht benutzen",
        "ce compte ne peut pas utiliser POP3",
    ),
    "you were here a short while ago, come back later": (
        "Sie waren eben erst hier, bitte später wiederkommen",
        "vous étiez ici il y a peu, revenez plus tard",
    ),
    "there is no such mailbox": (
        "dieses Postfach gibt es hier nicht",
        "cette boîte n'existe pas ici",
    ),
    "sign in again": ("bitte neu anmelden", "veuillez vous reconnecter"),
    "too many failures, come back later": (
        "zu viele Fehlversuche, bitte später wiederkommen",
        "trop d'échecs, revenez plus tard",
    ),
    "passwords in clear text aren't taken here: use STLS first": (
        "Passwörter im Klartext werden nicht angenommen: zuerst STLS",
        "pas de mot de passe en clair : utilisez d'abord STLS",
    ),
    "USER comes first": ("zuerst kommt USER", "USER vient d'abord"),
    "no such mechanism": (
        "dieses Anmeldeverfahren gibt es hier nicht",
        "ce mécanisme n'existe pas ici",
    ),
    "that exchange went wrong": (
        "dieser Austausch ist misslungen",
        "cet échange a échoué",
    ),
    "this connection has TLS already": (
        "diese Verbindung hat schon TLS",
        "cette connexion utilise déjà TLS",
    ),
    "there is no TLS here": ("TLS gibt es hier nicht", "TLS n'existe pas ici"),
    "STLS comes before UTF8": ("STLS kommt vor UTF8", "STLS vient avant UTF8"),
    # The maildrop
    "another session has this maildrop": (
        "eine andere Sitzung hat dieses Postfach",
        "une autre session utilise cette boîte",
    ),
    "another session has taken this maildrop": (
        "eine andere Sitzung hat dieses Postfach übernommen",
        "une autre session a pris cette boîte",
    ),
    "no such message": ("diese Nachricht gibt es nicht", "ce message n'existe pas"),
    "that message is gone": (
        "diese Nachricht gibt es nicht mehr",
        "ce message n'existe plus",
    ),
    # Commands that can't be obeyed
    "no such command": ("diesen Befehl gibt es nicht", "cette commande n'existe pas"),
    "not now": ("nicht jetzt", "pas maintenant"),
    "no such language is spoken here": (
        "diese Sprache wird hier nicht gesprochen",
        "cette langue n'est pas parlée ici",
    ),
    "that line is too long": ("diese Zeile ist zu lang", "cette ligne est trop longue"),
    "that is not base64": ("das ist kein Base64", "ce n'est pas du base64"),
    "that is not UTF-8": ("das ist kein UTF-8", "ce n'est pas de l'UTF-8"),
    "this command takes no arguments": (
        "dieser Befehl nimmt keine Argumente",
        "cette commande ne prend pas d'arguments",
    ),
    "an argument is needed": ("ein Argument fehlt", "il manque un argument"),
    "a message number is needed": (
        "die Nummer einer Nachricht fehlt",
        "il faut le numéro d'un message",
    ),
    "a message number and a number of lines are needed": (
        "die Nummer einer Nachricht und eine Anzahl von Zeilen fehlen",
        "il faut le numéro d'un message et un nombre de lignes",
    ),
    "a mechanism and at most an initial response are needed": (
        "ein Verfahren fehlt, mit höchstens einer ersten Antwort",
        "il faut un mécanisme et au plus une réponse initiale",
    ),
    "a name and a digest are needed": (
        "ein Name und eine Prüfsumme fehlen",
        "il faut un nom et une empreinte",
    ),
    "a language is needed": ("eine Sprache fehlt", "il faut une langue"),
    "that was one bad command too many": (
        "das war ein falscher Befehl zu viel",
        "c'était une mauvaise commande de trop",
    ),
    # Trouble
    "try again later": ("bitte später wieder", "réessayez plus tard"),
    "something went wrong here": (
        "hier ist etwas schiefgegangen",
        "une erreur s'est produite ici",
    ),
    "that can't be done": ("das geht nicht", "c'est impossible"),
    "this server is going down, come back": (
        "dieser Server wird beendet, bitte wiederkommen",
        "ce serveur s'arrête, revenez",
    ),
}
