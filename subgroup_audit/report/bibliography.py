"""The works that a report can cite, each as one line of a list and as an entry of a `.bib` file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One work. `authors` as surname and initials, separated by commas; `locator` is volume and pages."""

    authors: str
    title: str
    where: str
    year: int
    locator: str = ""
    doi: str = ""
    arxiv: str = ""
    url: str = ""
    kind: str = "article"

    @property
    def words(self) -> str:
        """The work as a line of a reference list."""
        mark = ";" if ":" in self.locator else ":"
        place = f"{self.where} {self.year}" + (f"{mark}{self.locator}" if self.locator else "")
        marks = {"doi": self.doi, "arXiv": self.arxiv}
        ends = [f" {name}:{value}" for name, value in marks.items() if value] or [
            f" {self.url}" if self.url else ""
        ]
        return f"{self.authors}. {self.title}. {place}.{ends[0]}".strip()

    def bibtex(self, name: str) -> str:
        """The work as an entry of a `.bib` file under the key of its name."""
        volume, _, pages = self.locator.rpartition(":")
        holder = {"article": "journal", "inproceedings": "booktitle", "book": "publisher", "misc": "howpublished"}
        fields = {
            "author": _bibtex_authors(self.authors),
            "title": f"{{{self.title}}}",
            holder[self.kind]: self.where,
            "year": str(self.year),
            "volume": volume,
            "pages": pages.replace("-", "--"),
            "doi": self.doi,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "url": self.url,
        }
        lines = [f"  {field} = {{{_escaped(value)}}}," for field, value in fields.items() if value]
        return "\n".join([f"@{self.kind}{{{bibtex_key(name)},", *lines, "}"]) + "\n"


def _bibtex_authors(authors: str) -> str:
    """Authors as BibTeX reads them.

    >>> _bibtex_authors("DeLong ER, Clarke-Pearson DL, et al")
    'DeLong, E. R. and Clarke-Pearson, D. L. and others'
    """
    found = []
    for author in authors.removesuffix(".").split(", "):
        surname, _, initials = author.rpartition(" ")
        dotted = " ".join(f"{letter}." for letter in initials)
        found.append("others" if author == "et al" else f"{surname}, {dotted}")
    return " and ".join(found)


def _escaped(text: str) -> str:
    return text.replace("&", r"\&")


def bibtex_key(name: str) -> str:
    """The key of a work that is cited as `name`: its first author and year.

    >>> bibtex_key("Zou and Donner 2008"), bibtex_key("Van Calster 2019")
    ('zou2008', 'vancalster2019')
    """
    first = name.rpartition(" ")[0].split(" and ")[0]
    return re.sub(r"[^a-z]", "", first.lower()) + name.rpartition(" ")[2]


ENTRIES: Mapping[str, Entry] = {
    "DeLong 1988": Entry(
        "DeLong ER, DeLong DM, Clarke-Pearson DL",
        "Comparing the areas under two or more correlated receiver operating characteristic curves: a "
        "nonparametric approach",
        "Biometrics", 1988, "44:837-845", "10.2307/2531595",
    ),
    "Obuchowski 1997": Entry(
        "Obuchowski NA", "Nonparametric analysis of clustered ROC curve data",
        "Biometrics", 1997, "53:567-578", "10.2307/2533958",
    ),
    "Newcombe 2006": Entry(
        "Newcombe RG",
        "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2: asymptotic "
        "methods and evaluation",
        "Statistics in Medicine", 2006, "25:559-573", "10.1002/sim.2324",
    ),
    "Zou and Donner 2008": Entry(
        "Zou GY, Donner A", "Construction of confidence limits about effect measures: a general approach",
        "Statistics in Medicine", 2008, "27:1693-1702", "10.1002/sim.3095",
    ),
    "Satterthwaite 1946": Entry(
        "Satterthwaite FE", "An approximate distribution of estimates of variance components",
        "Biometrics Bulletin", 1946, "2:110-114", "10.2307/3002019",
    ),
    "Efron and Tibshirani 1993": Entry(
        "Efron B, Tibshirani RJ", "An Introduction to the Bootstrap", "Chapman & Hall", 1993,
        doi="10.1201/9780429246593", kind="book",
    ),
    "Schuirmann 1987": Entry(
        "Schuirmann DJ",
        "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence "
        "of average bioavailability",
        "Journal of Pharmacokinetics and Biopharmaceutics", 1987, "15:657-680", "10.1007/BF01068419",
    ),
    "Holm 1979": Entry(
        "Holm S", "A simple sequentially rejective multiple test procedure",
        "Scandinavian Journal of Statistics", 1979, "6:65-70", url="https://www.jstor.org/stable/4615733",
    ),
    "Benjamini and Hochberg 1995": Entry(
        "Benjamini Y, Hochberg Y",
        "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        "Journal of the Royal Statistical Society: Series B", 1995, "57:289-300",
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
    "Wilson 1927": Entry(
        "Wilson EB", "Probable inference, the law of succession, and statistical inference",
        "Journal of the American Statistical Association", 1927, "22:209-212", "10.1080/01621459.1927.10502953",
    ),
    "Berger 1982": Entry(
        "Berger RL", "Multiparameter hypothesis testing and acceptance sampling",
        "Technometrics", 1982, "24:295-300", "10.1080/00401706.1982.10487790",
    ),
    "Vickers and Elkin 2006": Entry(
        "Vickers AJ, Elkin EB", "Decision curve analysis: a novel method for evaluating prediction models",
        "Medical Decision Making", 2006, "26:565-574", "10.1177/0272989X06295361",
    ),
    "Van Calster 2019": Entry(
        "Van Calster B, McLernon DJ, van Smeden M, et al",
        "Calibration: the Achilles heel of predictive analytics",
        "BMC Medicine", 2019, "17:230", "10.1186/s12916-019-1466-7",
    ),
    "Fischetti and Salazar 2001": Entry(
        "Fischetti M, Salazar JJ",
        "Solving the cell suppression problem on tabular data with linear constraints",
        "Management Science", 2001, "47:1008-1027", "10.1287/mnsc.47.7.1008.9805",
    ),
    "Glocker 2023": Entry(
        "Glocker B, Jones C, Bernhardt M, Winzeck S",
        "Algorithmic encoding of protected characteristics in chest X-ray disease detection models",
        "eBioMedicine", 2023, "89:104467", "10.1016/j.ebiom.2023.104467",
    ),
    "Janes and Pepe 2009": Entry(
        "Janes H, Pepe MS",
        "Adjusting for covariate effects on classification accuracy using the covariate-adjusted receiver "
        "operating characteristic curve",
        "Biometrika", 2009, "96:371-382", "10.1093/biomet/asp002",
    ),
    "Robins 2000": Entry(
        "Robins JM, Hernán MA, Brumback B", "Marginal structural models and causal inference in epidemiology",
        "Epidemiology", 2000, "11:550-560", "10.1097/00001648-200009000-00011",
    ),
    "Dodd and Pepe 2003": Entry(
        "Dodd LE, Pepe MS",
        "Semiparametric regression for the area under the receiver operating characteristic curve",
        "Journal of the American Statistical Association", 2003, "98:409-417", "10.1198/016214503000198",
    ),
    "Kallus and Zhou 2019": Entry(
        "Kallus N, Zhou A",
        "The fairness of risk scores beyond classification: bipartite ranking and the xAUC metric",
        "Advances in Neural Information Processing Systems 32", 2019, arxiv="1902.05826", kind="inproceedings",
    ),
    "Shih 2019": Entry(
        "Shih G, Wu CC, Halabi SS, et al",
        "Augmenting the National Institutes of Health chest radiograph dataset with expert annotations of "
        "possible pneumonia",
        "Radiology: Artificial Intelligence", 2019, "1:e180041", "10.1148/ryai.2019180041",
    ),
    "Wang 2017": Entry(
        "Wang X, Peng Y, Lu L, et al",
        "ChestX-ray8: hospital-scale chest X-ray database and benchmarks on weakly-supervised classification and "
        "localization of common thorax diseases",
        "IEEE Conference on Computer Vision and Pattern Recognition", 2017, "3462-3471",
        "10.1109/CVPR.2017.369", kind="inproceedings",
    ),
    "Irvin 2019": Entry(
        "Irvin J, Rajpurkar P, Ko M, et al",
        "CheXpert: a large chest radiograph dataset with uncertainty labels and expert comparison",
        "Proceedings of the AAAI Conference on Artificial Intelligence", 2019, "33:590-597",
        "10.1609/aaai.v33i01.3301590",
    ),
    "Johnson 2019": Entry(
        "Johnson AEW, Pollard TJ, Berkowitz SJ, et al",
        "MIMIC-CXR, a de-identified publicly available database of chest radiographs with free-text reports",
        "Scientific Data", 2019, "6:317", "10.1038/s41597-019-0322-0",
    ),
    "Johnson 2019b": Entry(
        "Johnson AEW, Pollard TJ, Greenbaum NR, et al",
        "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs",
        "arXiv", 2019, arxiv="1901.07042", kind="misc",
    ),
    "Paszke 2019": Entry(
        "Paszke A, Gross S, Massa F, et al",
        "PyTorch: an imperative style, high-performance deep learning library",
        "Advances in Neural Information Processing Systems 32", 2019, arxiv="1912.01703", kind="inproceedings",
    ),
    "Tejani 2024": Entry(
        "Tejani AS, Klontzas ME, Gatti AA, et al",
        "Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update",
        "Radiology: Artificial Intelligence", 2024, "6:e240300", "10.1148/ryai.240300",
    ),
    "Collins 2024": Entry(
        "Collins GS, Moons KGM, Dhiman P, et al",
        "TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or "
        "machine learning methods",
        "BMJ", 2024, "385:e078378", "10.1136/bmj-2023-078378",
    ),
    "Lekadir 2025": Entry(
        "Lekadir K, Frangi AF, Porras AR, et al",
        "FUTURE-AI: international consensus guideline for trustworthy and deployable artificial intelligence in "
        "healthcare",
        "BMJ", 2025, "388:e081554", "10.1136/bmj-2024-081554",
    ),
}  # fmt: skip


def names_cited(texts: Iterable[str]) -> list[str]:
    """The works that texts cite in brackets, in the order of the list."""
    inside = {
        name for text in texts for group in re.findall(r"\[([^\[\]]*)\]", text) for name in group.split("; ")
    }
    return [name for name in ENTRIES if name in inside]
