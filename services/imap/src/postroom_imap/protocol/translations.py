"""What people are told, in the languages there are besides English (RFC 5255 section 3).

A row: the English text, and the same in each of LANGUAGES. `{}` stands for anything: a command's
name, a number. A text that has no row is told in English.
"""

from __future__ import annotations

LANGUAGES = ("de", "fr")

TRANSLATIONS: dict[str, tuple[str, str]] = {
    # Commands that succeed
    "{} completed": ("{} ist erledigt", "{} terminé"),
    "IDLE terminated": ("IDLE ist beendet", "IDLE est terminé"),
    "Signed in": ("Angemeldet", "Connecté"),
    "Nobody is signed in": ("Niemand ist angemeldet", "Personne n'est connecté"),
    "No messages": ("Keine Nachrichten", "Aucun message"),
    "DEFLATE is active": ("DEFLATE ist eingeschaltet", "DEFLATE est activé"),
    "Begin TLS negotiation now": (
        "Die TLS-Aushandlung kann beginnen",
        "La négociation TLS peut commencer",
    ),
    "English is spoken now": ("Es wird jetzt Deutsch gesprochen", "Le français est utilisé"),
    "Goodbye": ("Auf Wiedersehen", "Au revoir"),
    # What the selected mailbox is like
    "Flags that can be changed": (
        "Markierungen, die sich ändern lassen",
        "Marques modifiables",
    ),
    "First unseen": ("Erste ungelesene Nachricht", "Premier message non lu"),
    "UIDs are valid": ("Die UIDs gelten", "Les UID sont valides"),
    "Next UID": ("Nächste UID", "Prochain UID"),
    "Annotations": ("Anmerkungen", "Annotations"),
    "Moved": ("Verschoben", "Déplacé"),
    "The mailbox before is closed": (
        "Das vorige Postfach ist geschlossen",
        "La boîte précédente est fermée",
    ),
    # Signing in
    "The name or the password is wrong": (
        "Name oder Passwort ist falsch",
        "Nom ou mot de passe incorrect",
    ),
    "Not in clear text: use TLS first": (
        "Nicht im Klartext: zuerst ist TLS nötig",
        "Pas en clair : utilisez d'abord TLS",
    ),
    "There is no such mechanism here": (
        "Dieses Anmeldeverfahren gibt es hier nicht",
        "Ce mécanisme n'existe pas ici",
    ),
    "AUTHENTICATE was cancelled": (
        "AUTHENTICATE wurde abgebrochen",
        "AUTHENTICATE a été annulé",
    ),
    "The response is not base64": (
        "Die Antwort ist kein Base64",
        "La réponse n'est pas en base64",
    ),
    "Too many refused logins": (
        "Zu viele abgewiesene Anmeldungen",
        "Trop de connexions refusées",
    ),
    "Too many people are signing in at this moment": (
        "Im Moment melden sich zu viele zugleich an",
        "Trop de personnes se connectent en ce moment",
    ),
    "Too many failures: try again in {} seconds": (
        "Zu viele Fehlversuche: in {} Sekunden wieder",
        "Trop d'échecs : réessayez dans {} secondes",
    ),
    "Sign in again": ("Bitte neu anmelden", "Veuillez vous reconnecter"),
    "Sign in again: the session's authority has ended": (
        "Bitte neu anmelden: die Berechtigung der Sitzung ist abgelaufen",
        "Veuillez vous reconnecter : l'autorisation de la session a expiré",
    ),
    # Mailboxes
    "There is no such mailbox": (
        "Dieses Postfach gibt es nicht",
        "Cette boîte n'existe pas",
    ),
    "The mailbox is there already": (
        "Dieses Postfach gibt es schon",
        "Cette boîte existe déjà",
    ),
    "INBOX can't be removed": (
        "INBOX kann nicht gelöscht werden",
        "INBOX ne peut pas être supprimée",
    ),
    "The mailbox name is too long or too deep": (
        "Der Name des Postfachs ist zu lang oder zu tief",
        "Le nom de la boîte est trop long ou trop profond",
    ),
    "A mailbox name has empty levels or control characters": (
        "Der Name des Postfachs hat leere Ebenen oder Steuerzeichen",
        "Le nom de la boîte a des niveaux vides ou des caractères de contrôle",
    ),
    "A mailbox can't be moved below itself": (
        "Ein Postfach kann nicht unter sich selbst verschoben werden",
        "Une boîte ne peut pas être déplacée sous elle-même",
    ),
    "Mailbox name is not valid modified UTF-7": (
        "Der Name des Postfachs ist kein gültiges modifiziertes UTF-7",
        "Le nom de la boîte n'est pas en UTF-7 modifié valide",
    ),
    "Mailbox name is not valid UTF-8": (
        "Der Name des Postfachs ist kein gültiges UTF-8",
        "Le nom de la boîte n'est pas en UTF-8 valide",
    ),
    "There is no such special use": (
        "Diesen besonderen Zweck gibt es nicht",
        "Cet usage particulier n'existe pas",
    ),
    "An account has at most {} mailboxes": (
        "Ein Konto hat höchstens {} Postfächer",
        "Un compte a au plus {} boîtes",
    ),
    "Too many mailboxes match": (
        "Zu viele Postfächer passen",
        "Trop de boîtes correspondent",
    ),
    "The mailbox is selected read-only": (
        "Das Postfach ist nur zum Lesen ausgewählt",
        "La boîte est sélectionnée en lecture seule",
    ),
    "The selected mailbox was deleted": (
        "Das ausgewählte Postfach wurde gelöscht",
        "La boîte sélectionnée a été supprimée",
    ),
    # What is shared
    "The selected mailbox is shared with you no more": (
        "Das ausgewählte Postfach ist nicht mehr für Sie freigegeben",
        "La boîte sélectionnée n'est plus partagée avec vous",
    ),
    "The right {} on the mailbox is needed": (
        "Das Recht {} an dem Postfach ist nötig",
        "Le droit {} sur la boîte est nécessaire",
    ),
    "The right to change these flags is needed": (
        "Das Recht, diese Markierungen zu ändern, ist nötig",
        "Le droit de changer ces marques est nécessaire",
    ),
    "Only the owner can make a mailbox there": (
        "Dort kann nur der Eigentümer ein Postfach anlegen",
        "Seul le propriétaire peut y créer une boîte",
    ),
    "The owner of a mailbox has all rights, always": (
        "Der Eigentümer eines Postfachs hat immer alle Rechte",
        "Le propriétaire d'une boîte a toujours tous les droits",
    ),
    "There are no negative rights here": (
        "Negative Rechte gibt es hier nicht",
        "Il n'y a pas de droits négatifs ici",
    ),
    "Nothing can be shared with everybody at once": (
        "Nichts kann für alle zugleich freigegeben werden",
        "Rien ne peut être partagé avec tout le monde à la fois",
    ),
    "No account has this address": (
        "Kein Konto hat diese Adresse",
        "Aucun compte n'a cette adresse",
    ),
    "Uppercase rights are not allowed": (
        "Rechte werden klein geschrieben",
        "Les droits s'écrivent en minuscules",
    ),
    "There is no right {}": ("Ein Recht {} gibt es nicht", "Il n'y a pas de droit {}"),
    # Messages
    "No message has such a number": (
        "Keine Nachricht hat so eine Nummer",
        "Aucun message n'a ce numéro",
    ),
    "Some of the messages are gone": (
        "Einige der Nachrichten gibt es nicht mehr",
        "Certains messages n'existent plus",
    ),
    "The account's quota is used up": (
        "Der Speicherplatz des Kontos ist aufgebraucht",
        "Le quota du compte est épuisé",
    ),
    "A message has at most {} octets here": (
        "Eine Nachricht hat hier höchstens {} Bytes",
        "Un message a ici au plus {} octets",
    ),
    "A message isn't empty": ("Eine Nachricht ist nicht leer", "Un message n'est pas vide"),
    "A mailbox has at most {} messages": (
        "Ein Postfach hat höchstens {} Nachrichten",
        "Une boîte a au plus {} messages",
    ),
    "A mailbox has at most {} keywords": (
        "Ein Postfach hat höchstens {} Schlüsselwörter",
        "Une boîte a au plus {} mots-clés",
    ),
    "The search takes too long: search less, or for longer words": (
        "Die Suche dauert zu lange: weniger suchen, oder nach längeren Wörtern",
        "La recherche est trop longue : cherchez moins, ou des mots plus longs",
    ),
    "Unknown charset": ("Unbekannter Zeichensatz", "Jeu de caractères inconnu"),
    # Commands that can't be obeyed
    "Unknown command": ("Unbekannter Befehl", "Commande inconnue"),
    "Expected a tag and a command": (
        "Erwartet wurden eine Marke und ein Befehl",
        "Une étiquette et une commande étaient attendues",
    ),
    "Not allowed: the state is not authenticated": (
        "Nicht erlaubt: niemand ist angemeldet",
        "Non autorisé : personne n'est connecté",
    ),
    "Not allowed: the state is authenticated": (
        "Nicht erlaubt: kein Postfach ist ausgewählt, oder jemand ist schon angemeldet",
        "Non autorisé : aucune boîte n'est sélectionnée, ou quelqu'un est déjà connecté",
    ),
    "Not allowed: the state is selected": (
        "Nicht erlaubt: ein Postfach ist ausgewählt",
        "Non autorisé : une boîte est sélectionnée",
    ),
    "Still at work": ("Es wird noch gearbeitet", "Travail en cours"),
    "There is no such comparator": (
        "Diesen Vergleich gibt es nicht",
        "Il n'y a pas de tel comparateur",
    ),
    "No such language is spoken here": (
        "Diese Sprache wird hier nicht gesprochen",
        "Cette langue n'est pas parlée ici",
    ),
    "Expected a space": ("Erwartet wurde ein Leerzeichen", "Une espace était attendue"),
    "Unexpected text after the command": (
        "Unerwarteter Text nach dem Befehl",
        "Texte inattendu après la commande",
    ),
    "The line is too long": ("Die Zeile ist zu lang", "La ligne est trop longue"),
    "The command is too long": ("Der Befehl ist zu lang", "La commande est trop longue"),
    "Too many bad commands": (
        "Zu viele unverständliche Befehle",
        "Trop de commandes incorrectes",
    ),
    # Trouble
    "The mail store can't be reached just now": (
        "Der Nachrichtenspeicher ist gerade nicht erreichbar",
        "Le dépôt des messages est injoignable pour le moment",
    ),
    "The mail store takes too long just now": (
        "Der Nachrichtenspeicher braucht gerade zu lange",
        "Le dépôt des messages est trop lent pour le moment",
    ),
    "Something went wrong here; it was logged": (
        "Hier ist etwas schiefgegangen; es wurde protokolliert",
        "Une erreur s'est produite ici ; elle a été enregistrée",
    ),
    "The server is going down; come back soon": (
        "Der Server wird beendet; bitte bald wiederkommen",
        "Le serveur s'arrête ; revenez bientôt",
    ),
    "Nothing was heard from you for too long": (
        "Zu lange war nichts zu hören",
        "Rien n'a été reçu depuis trop longtemps",
    ),
}
