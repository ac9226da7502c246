//! Names in many scripts. They are written down here, and not taken from a library, so that no
//! update changes the bytes of a seed.

/// Names of one language: any given name goes with any family name.
#[derive(Debug)]
pub(super) struct Language {
    pub(super) order: Order,
    pub(super) given: [&'static str; 16],
    pub(super) family: [&'static str; 16],
}

/// Which name comes first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    GivenFirst,
    /// With this between the two.
    FamilyFirst(&'static str),
}

/// Family names are those that men and women bear alike.
#[rustfmt::skip]
pub(super) const LANGUAGES: [Language; 16] = [
    Language {
        order: Order::GivenFirst, // English
        given: [
            "Alice", "Ben", "Charlotte", "Dylan", "Ella", "Finn", "Grace", "Harry",
            "Isla", "Jack", "Lily", "Mason", "Olivia", "Ruby", "Theo", "Zac",
        ],
        family: [
            "Bennett", "Brown", "Clarke", "Cooper", "Davies", "Evans", "Foster", "Green",
            "Hughes", "Jones", "Morris", "Parker", "Taylor", "Turner", "Wilson", "Wright",
        ],
    },
    Language {
        order: Order::GivenFirst, // German
        given: [
            "Anna", "Ben", "Clara", "Elias", "Felix", "Frieda", "Greta", "Jonas",
            "Jürgen", "Käthe", "Lena", "Lukas", "Marie", "Moritz", "Sophie", "Till",
        ],
        family: [
            "Becker", "Braun", "Groß", "Hoffmann", "Jäger", "Klein", "Koch", "König",
            "Krüger", "Lehmann", "Schäfer", "Schröder", "Schulz", "Wagner", "Weber", "Zimmermann",
        ],
    },
    Language {
        order: Order::GivenFirst, // French
        given: [
            "Adèle", "Baptiste", "Chloé", "Clément", "Élodie", "François", "Hélène", "Inès",
            "Jules", "Léa", "Loïc", "Manon", "Noé", "Océane", "Rémi", "Théo",
        ],
        family: [
            "Bernard", "Bonnet", "Chevalier", "Durand", "Fournier", "Garnier", "Girard", "Lambert",
            "Lefèvre", "Legrand", "Mercier", "Petit", "Richard", "Rousseau", "Simon", "Thomas",
        ],
    },
    Language {
        order: Order::GivenFirst, // Spanish
        given: [
            "Adrián", "Alejandra", "Álvaro", "Carmen", "Diego", "Elena", "Íñigo", "Javier",
            "Julia", "Lucas", "Marta", "Martín", "Nerea", "Pablo", "Sara", "Ximena",
        ],
        family: [
            "Álvarez", "Castro", "Delgado", "Domínguez", "Gómez", "Gutiérrez", "Herrera", "Jiménez",
            "Martínez", "Molina", "Moreno", "Muñoz", "Navarro", "Núñez", "Romero", "Sánchez",
        ],
    },
    Language {
        order: Order::GivenFirst, // Portuguese
        given: [
            "Afonso", "Antónia", "Beatriz", "Caio", "Conceição", "Duarte", "Inês", "João",
            "Larissa", "Luís", "Mariana", "Matilde", "Rafael", "Simão", "Thaís", "Vitória",
        ],
        family: [
            "Almeida", "Araújo", "Barbosa", "Carvalho", "Cavalcanti", "Correia", "Fonseca", "Gonçalves",
            "Lourenço", "Magalhães", "Nogueira", "Oliveira", "Ribeiro", "Santos", "Simões", "Teixeira",
        ],
    },
    Language {
        order: Order::GivenFirst, // Polish
        given: [
            "Agnieszka", "Bartosz", "Elżbieta", "Grzegorz", "Hanna", "Jakub", "Kasia", "Łukasz",
            "Magda", "Michał", "Oliwia", "Paweł", "Stanisław", "Wojciech", "Zofia", "Żaneta",
        ],
        family: [
            "Baran", "Dudek", "Gołąb", "Kaczmarek", "Krawczyk", "Król", "Mazur", "Pawlak",
            "Pietrzak", "Sikora", "Stępień", "Szewczyk", "Walczak", "Wieczorek", "Wójcik", "Zając",
        ],
    },
    Language {
        order: Order::GivenFirst, // Turkish
        given: [
            "Ayşe", "Barış", "Çağla", "Defne", "Emre", "Eylül", "Gökhan", "Işıl",
            "İbrahim", "Mehmet", "Nazlı", "Ömer", "Selin", "Şeyma", "Umut", "Zeynep",
        ],
        family: [
            "Aksoy", "Arslan", "Aydın", "Bulut", "Çetin", "Demir", "Doğan", "Erdoğan",
            "Güneş", "Kılıç", "Koç", "Özdemir", "Öztürk", "Polat", "Şahin", "Yıldız",
        ],
    },
    Language {
        order: Order::GivenFirst, // Ukrainian
        given: [
            "Андрій", "Богдан", "Дарина", "Злата", "Іван", "Ірина", "Катерина", "Лев",
            "Марко", "Наталя", "Оксана", "Остап", "Соломія", "Тарас", "Христина", "Юрій",
        ],
        family: [
            "Бондаренко", "Бойко", "Гончар", "Грищенко", "Кравчук", "Коваль", "Лисенко", "Марченко",
            "Мельник", "Мороз", "Олійник", "Поліщук", "Рудь", "Савченко", "Ткаченко", "Шевчук",
        ],
    },
    Language {
        order: Order::GivenFirst, // Georgian
        given: [
            "ანა", "გიორგი", "დავით", "ელენე", "ვახტანგ", "ზურაბ", "თამარ", "ირაკლი",
            "ლევან", "ლუკა", "მარიამ", "ნათია", "ნინო", "საბა", "სალომე", "ქეთევან",
        ],
        family: [
            "აბაშიძე", "ბერიძე", "გელაშვილი", "გიორგაძე", "დოლიძე", "კაპანაძე", "ლომიძე", "ლორთქიფანიძე",
            "მაისურაძე", "მელაძე", "ნოზაძე", "წიკლაური", "ჩხეიძე", "ხუციშვილი", "ჯანელიძე", "ჯაფარიძე",
        ],
    },
    Language {
        order: Order::GivenFirst, // Arabic
        given: [
            "أحمد", "آمنة", "بلال", "جميلة", "حسن", "خالد", "دانة", "رانيا",
            "زياد", "سلمى", "طارق", "عمر", "فاطمة", "ليلى", "مريم", "يوسف",
        ],
        family: [
            "البغدادي", "التميمي", "الحداد", "الخطيب", "الدمشقي", "الراشد", "الزهراني", "السيد",
            "الشريف", "الصباغ", "العلي", "الغامدي", "الفارسي", "المصري", "النجار", "الهاشمي",
        ],
    },
    Language {
        order: Order::GivenFirst, // Hebrew
        given: [
            "אורי", "איתי", "אלון", "גיל", "דוד", "דניאל", "הילה", "יעל",
            "מאיה", "מיכל", "נועה", "עומר", "רוני", "רחל", "שירה", "תמר",
        ],
        family: [
            "אברהם", "אוחיון", "אזולאי", "ביטון", "גבאי", "דהן", "חדד", "כהן",
            "כץ", "לוי", "מזרחי", "מלכה", "עמר", "פרידמן", "פרץ", "שפירא",
        ],
    },
    Language {
        order: Order::GivenFirst, // Hindi
        given: [
            "अनन्या", "अर्जुन", "आदित्य", "आरव", "करण", "काव्या", "दिया", "नेहा",
            "पूजा", "प्रिया", "मीरा", "राहुल", "रोहन", "विवेक", "विहान", "सानवी",
        ],
        family: [
            "अग्रवाल", "कुमार", "गुप्ता", "चौहान", "जोशी", "तिवारी", "नायर", "पटेल",
            "बोस", "मिश्रा", "मेहता", "यादव", "रेड्डी", "वर्मा", "शर्मा", "सिंह",
        ],
    },
    Language {
        order: Order::FamilyFirst(" "), // Japanese
        given: [
            "蓮", "陽菜", "湊", "結衣", "大翔", "さくら", "悠真", "美咲",
            "颯太", "葵", "陸", "凛", "健太", "あかり", "直樹", "優子",
        ],
        family: [
            "佐藤", "鈴木", "高橋", "渡辺", "伊藤", "山本", "中村", "小林",
            "加藤", "吉田", "山田", "佐々木", "松本", "井上", "木村", "清水",
        ],
    },
    Language {
        order: Order::FamilyFirst(""), // Korean
        given: [
            "민준", "서연", "도윤", "하은", "지호", "지우", "예준", "수아",
            "시우", "유진", "준서", "채원", "현우", "은지", "태양", "소라",
        ],
        family: [
            "김", "이", "박", "최", "정", "강", "조", "윤",
            "장", "임", "한", "오", "서", "신", "권", "황",
        ],
    },
    Language {
        order: Order::FamilyFirst(""), // Chinese
        given: [
            "伟", "芳", "秀英", "敏", "静", "丽", "强", "磊",
            "洋", "艳", "勇", "子涵", "杰", "欣怡", "浩然", "明",
        ],
        family: [
            "王", "李", "张", "刘", "陈", "杨", "黄", "赵",
            "周", "吴", "徐", "孙", "马", "朱", "胡", "郭",
        ],
    },
    Language {
        order: Order::FamilyFirst(" "), // Vietnamese
        given: [
            "An", "Bình", "Châu", "Dũng", "Đức", "Giang", "Hà", "Hương",
            "Khánh", "Lan", "Minh", "Ngọc", "Phúc", "Quỳnh", "Thảo", "Tuấn",
        ],
        family: [
            "Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ",
            "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý",
        ],
    },
];
