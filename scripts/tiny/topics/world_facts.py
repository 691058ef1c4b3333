"""Countries: name | capital | continent | language | landmarks of the capital."""

from dataclasses import dataclass

from .base import split_lines


@dataclass(frozen=True)
class Country:
    """One country and what is known of its capital."""

    name: str
    capital: str
    continent: str
    language: str
    landmarks: tuple[str, ...]


_TABLE = """
France|Paris|Europe|French|the Eiffel Tower;the Louvre;Notre-Dame;the Arc de Triomphe
Germany|Berlin|Europe|German|the Brandenburg Gate;the Reichstag;Museum Island
Spain|Madrid|Europe|Spanish|the Prado Museum;the Royal Palace;Retiro Park
Italy|Rome|Europe|Italian|the Colosseum;the Trevi Fountain;the Pantheon
Portugal|Lisbon|Europe|Portuguese|the Belem Tower;the Jeronimos Monastery;Sao Jorge Castle
the United Kingdom|London|Europe|English|Big Ben;Tower Bridge;Buckingham Palace
Ireland|Dublin|Europe|English and Irish|Trinity College;Dublin Castle;the Ha'penny Bridge
the Netherlands|Amsterdam|Europe|Dutch|the Rijksmuseum;the Anne Frank House;the canals
Belgium|Brussels|Europe|Dutch and French|the Atomium;the Grand Place;Manneken Pis
Switzerland|Bern|Europe|German and French|the Zytglogge;the Bear Park;the Minster
Austria|Vienna|Europe|German|Schoenbrunn Palace;the State Opera;the Prater
Poland|Warsaw|Europe|Polish|the Royal Castle;Lazienki Park;the Palace of Culture
Denmark|Copenhagen|Europe|Danish|the Little Mermaid;Tivoli Gardens;Nyhavn
Norway|Oslo|Europe|Norwegian|the Opera House;Vigeland Park;Akershus Fortress
Sweden|Stockholm|Europe|Swedish|the Vasa Museum;the Old Town;the Royal Palace
Finland|Helsinki|Europe|Finnish|the Cathedral;the Suomenlinna Fortress;the Rock Church
Iceland|Reykjavik|Europe|Icelandic|Hallgrimskirkja;the Harpa hall;the Sun Voyager
Greece|Athens|Europe|Greek|the Acropolis;the Parthenon;Syntagma Square
Turkey|Ankara|Asia|Turkish|the Ataturk Mausoleum;Ankara Castle;the Kocatepe Mosque
Russia|Moscow|Europe|Russian|the Kremlin;Red Square;the Bolshoi Theatre
Ukraine|Kyiv|Europe|Ukrainian|Saint Sophia's Cathedral;the Golden Gate;Independence Square
Czechia|Prague|Europe|Czech|Charles Bridge;Prague Castle;the Astronomical Clock
Hungary|Budapest|Europe|Hungarian|the Parliament;Buda Castle;the Chain Bridge
Romania|Bucharest|Europe|Romanian|the Palace of the Parliament;the Village Museum;Revolution Square
Bulgaria|Sofia|Europe|Bulgarian|the Alexander Nevsky Cathedral;Vitosha Mountain;the Boyana Church
Serbia|Belgrade|Europe|Serbian|Kalemegdan Fortress;the Church of Saint Sava;Skadarlija
Croatia|Zagreb|Europe|Croatian|Zagreb Cathedral;Saint Mark's Church;Ban Jelacic Square
Japan|Tokyo|Asia|Japanese|the Tokyo Tower;Senso-ji Temple;Shibuya Crossing
China|Beijing|Asia|Chinese|the Forbidden City;Tiananmen Square;the Temple of Heaven
South Korea|Seoul|Asia|Korean|Gyeongbokgung Palace;the N Seoul Tower;Bukchon Village
India|New Delhi|Asia|Hindi and English|the India Gate;the Lotus Temple;Humayun's Tomb
Thailand|Bangkok|Asia|Thai|the Grand Palace;Wat Arun;Wat Pho
Vietnam|Hanoi|Asia|Vietnamese|Hoan Kiem Lake;the Temple of Literature;the Old Quarter
Indonesia|Jakarta|Asia|Indonesian|the National Monument;the Istiqlal Mosque;the Old Town
Malaysia|Kuala Lumpur|Asia|Malay|the Petronas Towers;the Batu Caves;Merdeka Square
the Philippines|Manila|Asia|Filipino and English|Intramuros;Rizal Park;Fort Santiago
Egypt|Cairo|Africa|Arabic|the Egyptian Museum;the Citadel;the nearby pyramids of Giza
Kenya|Nairobi|Africa|Swahili and English|Nairobi National Park;the Giraffe Centre;Uhuru Park
Morocco|Rabat|Africa|Arabic|the Hassan Tower;the Kasbah of the Udayas;the Royal Palace
Ethiopia|Addis Ababa|Africa|Amharic|the National Museum;Holy Trinity Cathedral;the Merkato market
Ghana|Accra|Africa|English|Independence Arch;Labadi Beach;the Makola Market
Nigeria|Abuja|Africa|English|Zuma Rock;the National Mosque;Aso Rock
Canada|Ottawa|North America|English and French|Parliament Hill;the Rideau Canal;the National Gallery
the United States|Washington|North America|English|the White House;the Capitol;the Lincoln Memorial
Mexico|Mexico City|North America|Spanish|the Zocalo;Chapultepec Castle;the Angel of Independence
Cuba|Havana|North America|Spanish|the Malecon;the Capitol;Old Havana
Brazil|Brasilia|South America|Portuguese|the Cathedral;the National Congress;the Three Powers Plaza
Argentina|Buenos Aires|South America|Spanish|the Obelisk;the Pink House;the Colon Theatre
Chile|Santiago|South America|Spanish|San Cristobal Hill;La Moneda Palace;the Plaza de Armas
Peru|Lima|South America|Spanish|the Plaza Mayor;the Larco Museum;Huaca Pucllana
Colombia|Bogota|South America|Spanish|the Gold Museum;Monserrate Hill;Bolivar Square
Australia|Canberra|Oceania|English|the Parliament House;the War Memorial;Lake Burley Griffin
New Zealand|Wellington|Oceania|English|the Te Papa museum;the Cable Car;the Beehive
Israel|Jerusalem|Asia|Hebrew|the Western Wall;the Dome of the Rock;the Old City
Iran|Tehran|Asia|Persian|the Azadi Tower;Golestan Palace;the Milad Tower
Iraq|Baghdad|Asia|Arabic|
Jordan|Amman|Asia|Arabic|
Lebanon|Beirut|Asia|Arabic|
Saudi Arabia|Riyadh|Asia|Arabic|
Qatar|Doha|Asia|Arabic|
Nepal|Kathmandu|Asia|Nepali|
Pakistan|Islamabad|Asia|Urdu|
Bangladesh|Dhaka|Asia|Bengali|
Mongolia|Ulaanbaatar|Asia|Mongolian|
Slovakia|Bratislava|Europe|Slovak|
Slovenia|Ljubljana|Europe|Slovene|
Estonia|Tallinn|Europe|Estonian|
Latvia|Riga|Europe|Latvian|
Lithuania|Vilnius|Europe|Lithuanian|
Albania|Tirana|Europe|Albanian|
Malta|Valletta|Europe|Maltese|
Tunisia|Tunis|Africa|Arabic|
Algeria|Algiers|Africa|Arabic|
Senegal|Dakar|Africa|French|
Uganda|Kampala|Africa|English|
Uruguay|Montevideo|South America|Spanish|
Ecuador|Quito|South America|Spanish|
Venezuela|Caracas|South America|Spanish|
Jamaica|Kingston|North America|English|
Fiji|Suva|Oceania|English|
"""

_OTHER_CITIES = """
Barcelona;Munich;Hamburg;Milan;Naples;Venice;Lyon;Marseille;Nice;Porto;Seville;
Valencia;Geneva;Zurich;Basel;Salzburg;Krakow;Gdansk;Rotterdam;Antwerp;Bruges;Manchester;
Liverpool;Edinburgh;Glasgow;Cardiff;Belfast;Oxford;Cambridge;Boston;Chicago;Denver;
Seattle;Miami;Dallas;Houston;Austin;New York;Los Angeles;San Francisco;San Diego;
Las Vegas;Toronto;Montreal;Vancouver;Calgary;Sydney;Melbourne;Brisbane;Perth;Auckland;
Osaka;Kyoto;Nagoya;Sapporo;Shanghai;Shenzhen;Hong Kong;Singapore;Taipei;Busan;Mumbai;
Kolkata;Chennai;Bangalore;Karachi;Lahore;Dubai;Istanbul;Izmir;Tel Aviv;Haifa;Casablanca;
Marrakesh;Alexandria;Lagos;Cape Town;Durban;Johannesburg;Mombasa;Rio de Janeiro;Sao Paulo;
Salvador;Cordoba;Rosario;Valparaiso;Cusco;Medellin;Cali;Cancun;Tijuana;Gothenburg;Malmo;
Bergen;Aarhus;Odense;Tampere;Turku;Leipzig;Dresden;Cologne;Frankfurt;Stuttgart;Bremen;
Hanover;Turin;Florence;Bologna;Pisa;Verona;Palermo;Bilbao;Granada;Malaga;Toledo;
Bordeaux;Lille;Nantes;Strasbourg;Toulouse;Odessa;Lviv;Saint Petersburg;Kazan;Split;
Dubrovnik;Varna;Brno;Graz;Linz;Phoenix;Portland;Detroit;Atlanta;Memphis;Orlando;
Honolulu;Anchorage;Quebec;Winnipeg;Halifax
"""


def _row(line: str) -> Country:
    name, capital, continent, language, landmarks = line.split("|")
    return Country(name, capital, continent, language, tuple(filter(None, landmarks.split(";"))))


COUNTRIES = tuple(_row(line) for line in split_lines(_TABLE))
WITH_SIGHTS = tuple(country for country in COUNTRIES if country.landmarks)
KNOWN_CITIES = tuple(country.capital for country in COUNTRIES)
OTHER_CITIES = tuple(split_lines(_OTHER_CITIES.replace(";", "\n")))
CITIES = KNOWN_CITIES + OTHER_CITIES
